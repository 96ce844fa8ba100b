// SPDX-License-Identifier: GPL-2.0
/*
 * What `sluice run` puts before a program's libraries: TCP sockets that it
 * makes become Sluice's, and say that they are TCP's when asked.
 *
 *	SLUICE_RUN_PROTOCOL	253 (native) or 257 (real TCP)
 *	SLUICE_RUN_CC		algorithm of each socket; unset: the default
 *
 * Sockets that aren't TCP are left alone. A socket that can't be made is the
 * program's error, never one of the kernel's TCP in its place.
 */
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sluice.h>

#define KIND (~(SOCK_NONBLOCK | SOCK_CLOEXEC))

static void *next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (!function)
		abort();	/* libc without sockets: nothing can be right any more */
	return function;
}

static bool is_tcp(int family, int type, int protocol)
{
	return (family == AF_INET || family == AF_INET6) && (type & KIND) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP);
}

static int wanted_protocol(void)
{
	const char *text = getenv("SLUICE_RUN_PROTOCOL");

	return text ? atoi(text) : SLUICE_PROTO_TCP;
}

/* 0, or -1 with errno. */
static int choose_cc(int fd)
{
	const char *name = getenv("SLUICE_RUN_CC");

	return name ? setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name)) : 0;
}

__attribute__((visibility("default")))
int socket(int family, int type, int protocol)
{
	int (*real)(int, int, int) = next("socket");
	int fd, error;

	if (!is_tcp(family, type, protocol))
		return real(family, type, protocol);
	fd = real(family, type, wanted_protocol());
	if (fd >= 0 && choose_cc(fd)) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* Programs look for TCP_NODELAY's sense, for one, by the protocol's number. */
__attribute__((visibility("default")))
int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict length)
{
	int (*real)(int, int, int, void *, socklen_t *) = next("getsockopt");
	int result = real(fd, level, name, value, length);
	int *protocol = value;

	if (!result && level == SOL_SOCKET && name == SO_PROTOCOL && *length == sizeof(*protocol) &&
	    (*protocol == SLUICE_PROTO_STREAM || *protocol == SLUICE_PROTO_TCP))
		*protocol = IPPROTO_TCP;
	return result;
}
