/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libsluice: addresses, the module's state over generic netlink, and its
 * connections over sock_diag, for programs that look at or steer Sluice.
 * Functions return 0 or a negative errno unless they say otherwise. Not
 * thread-safe on one struct sluice_control.
 */
#ifndef LIBSLUICE_H
#define LIBSLUICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- addresses ---------------------------------------------------------- */

/*
 * "host:port", "[v6]:port", "v4:port"; when `passive` also ":port" and "port"
 * (any address). Names and services are looked up. IPv4 comes out v4-mapped, a
 * link-local zone (fe80::1%eth0) as scope. *count: room in `list` before, the
 * addresses found after, at least one, in order of preference; their family is
 * AF_INET6 and left to the caller to change. NULL, or what is wrong in words.
 */
const char *sluice_parse_address(const char *text, bool passive, struct sockaddr_sluice *list,
				 unsigned int *count);

#define SLUICE_ADDRESS_TEXT 80
/* "192.0.2.1:80", "[2001:db8::1]:80", "*:80"; returns `text`. */
char *sluice_format_address(const uint8_t address[16], uint32_t scope, uint16_t port_be,
			    char text[SLUICE_ADDRESS_TEXT]);

/* ---- control: generic netlink --------------------------------------------- */

struct sluice_control;

/* -ENOENT: the module isn't loaded. */
int sluice_control_open(struct sluice_control **control);
void sluice_control_close(struct sluice_control *control);
/* What the kernel said about the last refusal, or "". */
const char *sluice_control_message(const struct sluice_control *control);

/* The number of AF_SLUICE in use, and the module's version. */
int sluice_get_version(struct sluice_control *control, uint16_t *family, char *version,
		       size_t size);

struct sluice_row {
	/* NULL when absent; in a list, a secret parameter has neither value nor string */
	const char *name, *string, *unit, *help, *sysctl;
	uint64_t value, min, max, standard;
	bool has_value, is_default;
	uint8_t source;			/* enum sluice_source, of a parameter */
};
typedef void (*sluice_row_fn)(const struct sluice_row *row, void *data);

int sluice_each_counter(struct sluice_control *control, sluice_row_fn fn, void *data);
int sluice_each_parameter(struct sluice_control *control, sluice_row_fn fn, void *data);
int sluice_each_cc(struct sluice_control *control, sluice_row_fn fn, void *data);
int sluice_get_parameter(struct sluice_control *control, const char *name, sluice_row_fn fn,
			 void *data);
int sluice_set_parameter(struct sluice_control *control, const char *name, uint64_t value);
int sluice_set_parameter_string(struct sluice_control *control, const char *name,
				const char *value);
/* Takes back what set_parameter did: the sysctl counts again, or the built-in default. */
int sluice_reset_parameter(struct sluice_control *control, const char *name);
/* NULL or 0: leave as it is. */
int sluice_set_connection(struct sluice_control *control, const struct sluice_diag_id *id,
			  const char *cc, uint32_t sndbuf, uint32_t rcvbuf);

/* ---- connections: sock_diag -------------------------------------------------- */

struct sluice_socket {
	struct sluice_diag_msg msg;
	struct sluice_info info;	/* zero when not asked for */
	bool has_info;
	char cc[16];
	uint32_t meminfo[9];		/* SK_MEMINFO_* */
	bool has_meminfo;
	uint8_t shutdown;		/* RCV_SHUTDOWN 1, SEND_SHUTDOWN 2 */
	uint32_t accept_queue, backlog, half_open;	/* of a listener */
	bool has_mark;
	uint32_t mark;
	bool v6only;
};
typedef void (*sluice_socket_fn)(const struct sluice_socket *socket, void *data);

/*
 * states: bits 1 << TCP_x; ext: bits 1 << (SLUICE_DIAG_x - 1). -ENOENT: nothing
 * answers for this family. While connections come and go one may be told
 * twice, or not at all.
 */
int sluice_each_socket(uint16_t family, uint32_t states, uint16_t ext, sluice_socket_fn fn,
		       void *data);
/*
 * The one with these addresses; without a dport, the listener there. -ENOENT:
 * there is none, or nothing answers for this family.
 */
int sluice_find_socket(uint16_t family, const struct sluice_diag_id *id, uint16_t ext,
		       struct sluice_socket *socket);

#ifdef __cplusplus
}
#endif

#endif /* LIBSLUICE_H */
