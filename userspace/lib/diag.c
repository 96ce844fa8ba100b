/* SPDX-License-Identifier: GPL-2.0 */
/* sock_diag, by libmnl: the list of Sluice's sockets, or one of them. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <time.h>

#include "libsluice.h"

struct listing {
	sluice_socket_fn fn;
	void *data;
};

/* Copies what both sides know; older or newer ends differ in length only. */
static void copy_known(void *to, size_t size, const struct nlattr *attribute)
{
	size_t length = mnl_attr_get_payload_len(attribute);

	memcpy(to, mnl_attr_get_payload(attribute), length < size ? length : size);
}

static int on_attribute(const struct nlattr *attribute, void *data)
{
	struct sluice_socket *s = data;
	uint32_t listen[3] = { 0 };

	switch (mnl_attr_get_type(attribute)) {
	case SLUICE_DIAG_INFO:
		copy_known(&s->info, sizeof(s->info), attribute);
		s->has_info = true;
		break;
	case SLUICE_DIAG_CONG:
		copy_known(s->cc, sizeof(s->cc) - 1, attribute);
		break;
	case SLUICE_DIAG_MEMINFO:
		copy_known(s->meminfo, sizeof(s->meminfo), attribute);
		s->has_meminfo = true;
		break;
	case SLUICE_DIAG_SHUTDOWN:
		copy_known(&s->shutdown, sizeof(s->shutdown), attribute);
		break;
	case SLUICE_DIAG_LISTEN:
		copy_known(listen, sizeof(listen), attribute);
		s->accept_queue = listen[0];
		s->backlog = listen[1];
		s->half_open = listen[2];
		break;
	case SLUICE_DIAG_MARK:
		copy_known(&s->mark, sizeof(s->mark), attribute);
		s->has_mark = true;
		break;
	case SLUICE_DIAG_V6ONLY:
		copy_known(&s->v6only, sizeof(s->v6only), attribute);
		break;
	}
	return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *nlh, void *data)
{
	struct listing *l = data;
	struct sluice_socket s = { 0 };

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(s.msg))
		return MNL_CB_OK;
	memcpy(&s.msg, mnl_nlmsg_get_payload(nlh), sizeof(s.msg));
	mnl_attr_parse(nlh, sizeof(s.msg), on_attribute, &s);
	l->fn(&s, l->data);
	return MNL_CB_OK;
}

/* All that answers it: a dump ends with its own message, a single answer with its acknowledgment. */
static int exchange(struct mnl_socket *socket, uint16_t kind, const struct sluice_diag_req *question,
		    struct listing *l)
{
	char buffer[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	unsigned int seq = time(NULL);
	ssize_t length;
	int more = MNL_CB_OK;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | kind;
	nlh->nlmsg_seq = seq;
	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(*question)), question, sizeof(*question));
	if (mnl_socket_sendto(socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (more > MNL_CB_STOP) {
		length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		if (length < 0)
			return -errno;
		more = mnl_cb_run(buffer, length, seq, mnl_socket_get_portid(socket), on_message, l);
	}
	return more < 0 ? -errno : 0;
}

static int ask(uint16_t kind, const struct sluice_diag_req *question, sluice_socket_fn fn,
	       void *data)
{
	struct listing l = { fn, data };
	struct mnl_socket *socket = mnl_socket_open(NETLINK_SOCK_DIAG);
	int error;

	if (!socket)
		return -errno;
	error = mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno
		: exchange(socket, kind, question, &l);
	mnl_socket_close(socket);
	return error;
}

int sluice_each_socket(uint16_t family, uint32_t states, uint16_t ext, sluice_socket_fn fn,
		       void *data)
{
	struct sluice_diag_req question = { .family = family, .states = states, .ext = ext };

	return ask(NLM_F_DUMP, &question, fn, data);
}

static void keep(const struct sluice_socket *socket, void *data)
{
	memcpy(data, socket, sizeof(*socket));
}

int sluice_find_socket(uint16_t family, const struct sluice_diag_id *id, uint16_t ext,
		       struct sluice_socket *socket)
{
	struct sluice_diag_req question = { .family = family, .ext = ext, .id = *id };

	memset(socket, 0, sizeof(*socket));
	return ask(NLM_F_ACK, &question, keep, socket);
}
