/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One measurement of a stream transport, on kernel TCP or on Sluice, both ends
 * in this machine. Prints one number.
 *
 *	bench TRANSPORT ROW ADDRESS [NETNS]
 *
 * TRANSPORT: tcp, sluice, real (Sluice with TCP's own IP protocol), to-tcp (a
 * client on that, its server on kernel TCP) or from-tcp. ROW:
 *	bulk		MB/s of 64 KiB writes
 *	roundtrip	ns of a 64-byte request and its answer (median)
 *	connect		ns of connect, round trip, close (median)
 *	memory		bytes of kernel slab for an established, idle pair of sockets
 * ADDRESS is where the server listens; NETNS (a file under /run/netns) is the
 * namespace that it runs in.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sluice.h"

#define PORT 7777
#define CHUNK 65536
#define MESSAGE 64

static const struct transport {
	const char *name;
	bool sluice;		/* AF_SLUICE */
	int client, server;	/* else the protocols of either end */
} transports[] = {
	{ "tcp", false, 0, 0 },
	{ "sluice", true, 0, 0 },
	{ "real", false, SLUICE_PROTO_TCP, SLUICE_PROTO_TCP },
	{ "to-tcp", false, SLUICE_PROTO_TCP, 0 },
	{ "from-tcp", false, 0, SLUICE_PROTO_TCP },
};
static const struct transport *transport;
static struct in6_addr address;		/* v4-mapped for IPv4 */
static char buffer[CHUNK];

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int new_socket(int protocol)
{
	int family = IN6_IS_ADDR_V4MAPPED(&address) ? AF_INET : AF_INET6;
	int fd = socket(transport->sluice ? AF_SLUICE : family, SOCK_STREAM, protocol);

	if (fd < 0)
		err(1, "socket");
	return fd;
}

/* The server's address as the socket's family writes it. */
static socklen_t server_address(struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (!transport->sluice && IN6_IS_ADDR_V4MAPPED(&address)) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		in->sin_family = AF_INET;
		in->sin_port = htons(PORT);
		memcpy(&in->sin_addr, &address.s6_addr[12], 4);
		return sizeof(*in);
	}
	/* sockaddr_sluice and sockaddr_in6 have one layout. */
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	in6->sin6_family = transport->sluice ? AF_SLUICE : AF_INET6;
	in6->sin6_port = htons(PORT);
	in6->sin6_addr = address;
	return sizeof(*in6);
}

static void no_delay(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		err(1, "TCP_NODELAY");
}

static void send_all(int fd, size_t size)
{
	while (size) {
		ssize_t n = send(fd, buffer, size < CHUNK ? size : CHUNK, 0);

		if (n <= 0)
			err(1, "send");
		size -= n;
	}
}

/* False at the end of the stream. */
static bool receive_all(int fd, size_t size)
{
	while (size) {
		ssize_t n = recv(fd, buffer, size < CHUNK ? size : CHUNK, 0);

		if (n < 0)
			err(1, "recv");
		if (!n)
			return false;
		size -= n;
	}
	return true;
}

static int open_connection(void)
{
	struct sockaddr_storage to;
	socklen_t length = server_address(&to);
	int fd = new_socket(transport->client);

	if (connect(fd, (struct sockaddr *)&to, length))
		err(1, "connect");
	return fd;
}

/* ---- the server ----------------------------------------------------------- */

static int listening(void)
{
	struct sockaddr_storage at;
	socklen_t length = server_address(&at);
	int fd = new_socket(transport->server), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, length))
		err(1, "bind");
	if (listen(fd, 4096))
		err(1, "listen");
	return fd;
}

/* Takes bytes until the end, then says so. */
static void serve_bulk(int fd)
{
	while (recv(fd, buffer, CHUNK, 0) > 0)
		;
	send_all(fd, 1);
}

static void serve_echo(int fd)
{
	no_delay(fd);
	while (receive_all(fd, MESSAGE))
		send_all(fd, MESSAGE);
}

static void serve(const char *row, int ready)
{
	int listener = listening(), fd;

	if (write(ready, "", 1) != 1)
		err(1, "pipe");
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (!strcmp(row, "memory"))
			continue;	/* held until the end */
		if (!strcmp(row, "bulk"))
			serve_bulk(fd);
		else
			serve_echo(fd);
		close(fd);
	}
	err(1, "accept");
}

/* ---- the client ------------------------------------------------------------- */

static double bulk(void)
{
	size_t size = 192 << 20;
	int fd = open_connection();
	double begin;

	send_all(fd, 32 << 20);		/* past slow start and autotuning */
	begin = now_ns();
	send_all(fd, size);
	shutdown(fd, SHUT_WR);
	receive_all(fd, 1);
	return size / (now_ns() - begin) * 1e3;
}

/* ---- what is done many times ------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * The median of what `once` takes in batches, which what the kernel does now and
 * then doesn't move; a batch in which something waited is a failure.
 */
static double median_of_batches(int batch, void (*once)(int fd), int fd)
{
	enum { BATCHES = 41 };
	double took[BATCHES];

	for (int i = -1; i < BATCHES; i++) {	/* the first one warms up */
		double begin = now_ns();

		for (int n = 0; n < batch; n++)
			once(fd);
		if (i >= 0)
			took[i] = (now_ns() - begin) / batch;
	}
	qsort(took, BATCHES, sizeof(*took), compare);
	if (took[BATCHES - 1] > 3 * took[BATCHES / 2])
		errx(1, "a batch took %.1f ns each, most of them %.1f", took[BATCHES - 1], took[BATCHES / 2]);
	return took[BATCHES / 2];
}

static void exchange_once(int fd)
{
	send_all(fd, MESSAGE);
	receive_all(fd, MESSAGE);
}

static double roundtrip(void)
{
	int fd = open_connection();

	no_delay(fd);
	return median_of_batches(200, exchange_once, fd);
}

static void connect_once(int)
{
	int fd = open_connection();

	no_delay(fd);
	exchange_once(fd);
	shutdown(fd, SHUT_WR);
	while (recv(fd, buffer, 1, 0) > 0)
		;
	close(fd);
}

static double connect_row(void)
{
	return median_of_batches(50, connect_once, -1);
}

static double slab_bytes(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %ld", &kib) == 1)
			break;
	if (kib < 0)
		errx(1, "/proc/meminfo has no Slab");
	fclose(f);
	return kib * 1024.0;
}

static double memory(void)
{
	int warm = 64, n = 12000;
	double before = 0;

	for (int i = -warm; i < n; i++) {
		if (i == 0) {
			sleep(1);	/* what the warm-up frees late is freed now */
			before = slab_bytes();
		}
		open_connection();
	}
	sleep(1);
	return (slab_bytes() - before) / n;
}

/* ---- both ---------------------------------------------------------------------- */

/*
 * Both ends run until they wait. A time slice would end elsewhere each time, and
 * from there on everything would take another course.
 */
static void switch_when_waiting(void)
{
	struct sched_param least = { .sched_priority = sched_get_priority_min(SCHED_FIFO) };

	if (sched_setscheduler(0, SCHED_FIFO, &least))
		err(1, "SCHED_FIFO");
}

static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "%s", netns);
	close(fd);
}

static pid_t start_server(const char *row, const char *netns)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (netns)
			enter(netns);
		serve(row, ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		errx(1, "the server did not start");
	return pid;
}

static void parse_address(const char *text)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		memset(&address, 0, 10);
		memset(&address.s6_addr[10], 0xff, 2);
		memcpy(&address.s6_addr[12], &v4, 4);
	} else if (inet_pton(AF_INET6, text, &address) != 1) {
		errx(1, "%s is no address", text);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		double (*measure)(void);
	} rows[] = {
		{ "bulk", bulk }, { "roundtrip", roundtrip },
		{ "connect", connect_row }, { "memory", memory },
	};
	struct rlimit files = { 20000, 20000 };

	for (size_t i = 0; argc >= 4 && i < sizeof(transports) / sizeof(transports[0]); i++)
		if (!strcmp(transports[i].name, argv[1]))
			transport = &transports[i];
	if (!transport)
		errx(2, "usage: bench tcp|sluice|real|to-tcp|from-tcp bulk|roundtrip|connect|memory ADDRESS [NETNS]");
	setrlimit(RLIMIT_NOFILE, &files);
	switch_when_waiting();
	parse_address(argv[3]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, argv[2]))
			continue;
		pid_t server = start_server(argv[2], argc > 4 ? argv[4] : NULL);

		printf("%.1f\n", rows[i].measure());
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		return 0;
	}
	errx(2, "no row %s", argv[2]);
}
