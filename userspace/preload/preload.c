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
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* Multipath TCP's, too (Go's servers ask for it): it is TCP wherever the other end has none. */
static bool is_tcp(int family, int type, int protocol)
{
	return (family == AF_INET || family == AF_INET6) && (type & KIND) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
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

static long (*real_syscall)(long number, ...);

/* Early: some programs sleep and wake by syscall(), where dlsym() might wait for its own locks. */
__attribute__((constructor))
static void find_syscall(void)
{
	real_syscall = next("syscall");
}

/* Those of the above that a program asks for by their numbers. */
__attribute__((visibility("default")))
long syscall(long number, ...)
{
	long a[6];
	va_list words;
	int i;

	va_start(words, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(words, long);
	va_end(words);
	if (number == SYS_socket)
		return socket(a[0], a[1], a[2]);
	if (number == SYS_getsockopt)
		return getsockopt(a[0], a[1], a[2], (void *)a[3], (socklen_t *)a[4]);
	if (!real_syscall)	/* another library's constructor came first */
		find_syscall();
	return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
