// SPDX-License-Identifier: GPL-2.0
/*
 * Makes TCP sockets in each way that a program has, and prints what the kernel
 * itself says of each: its protocol, or a negative errno. Linked twice: ways
 * gets its libraries from the dynamic linker, ways-static has them in it.
 *
 *   libc 257 257 257 257
 *   syscall ...                libc's syscall()
 *   kernel ...                 the instruction itself
 *   io_uring ...
 *   asked 6                    SO_PROTOCOL by libc
 *   other 17 17                sockets that are not TCP's
 *
 * Four numbers: protocol 0, TCP, multipath TCP, and multipath TCP over IPv6.
 */
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static long kernel(long number, long a, long b, long c, long d, long e)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	long result;

	asm volatile("syscall" : "=a"(result)
		     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
		     : "rcx", "r11", "memory");
	return result;
}

static int protocol_of(int fd)
{
	socklen_t size = sizeof(int);
	int protocol;

	if (fd < 0)
		return fd;
	kernel(SYS_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, (long)&protocol, (long)&size);
	close(fd);
	return protocol;
}

static int by_libc(int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	return fd < 0 ? -errno : fd;
}

static int by_syscall(int family, int type, int protocol)
{
	int fd = syscall(SYS_socket, family, type, protocol);

	return fd < 0 ? -errno : fd;
}

static int by_kernel(int family, int type, int protocol)
{
	return kernel(SYS_socket, family, type, protocol, 0, 0);
}

static int by_io_uring(int family, int type, int protocol)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int result = io_uring_queue_init(2, &ring, 0);

	if (result < 0)
		return result;
	io_uring_prep_socket(io_uring_get_sqe(&ring), family, type, protocol, 0);
	io_uring_submit(&ring);
	result = io_uring_wait_cqe(&ring, &cqe);
	if (!result)
		result = cqe->res;
	io_uring_queue_exit(&ring);
	return result;
}

static void show(const char *name, int (*make)(int, int, int))
{
	printf("%s %d %d %d %d\n", name, protocol_of(make(AF_INET, SOCK_STREAM, 0)),
	       protocol_of(make(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP)),
	       protocol_of(make(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)),
	       protocol_of(make(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_MPTCP)));
}

int main(void)
{
	socklen_t size = sizeof(int);
	int protocol = -1;

	show("libc", by_libc);
	show("syscall", by_syscall);
	show("kernel", by_kernel);
	show("io_uring", by_io_uring);
	getsockopt(socket(AF_INET, SOCK_STREAM, 0), SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
	printf("asked %d\n", protocol);
	printf("other %d %d\n", protocol_of(by_libc(AF_INET, SOCK_DGRAM, 0)),
	       protocol_of(by_kernel(AF_INET6, SOCK_DGRAM, 0)));
	return 0;
}
