// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets by io_uring: every operation that sockets have is submitted before
 * it can be done, so that the ring has to wait for it.
 *
 *   uring LISTENER CLIENT ADDRESS SIZE FAMILY PROTOCOL
 *
 * LISTENER and CLIENT are inherited descriptors, ADDRESS a struct sockaddr in
 * hexadecimal where the client is to connect; further clients are made by the
 * ring, as socket() would from FAMILY and PROTOCOL. Prints one line of complaint
 * and exits 1 when something isn't as it should be.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 50000

static struct io_uring ring;

/* Buffers that the ring chooses from, and what it has put into them. */
#define GROUP 7
#define BUFFERS 4
#define BUFFER 16
static struct io_uring_buf_ring *provided;
static char buffers[BUFFERS][BUFFER];
static char gathered[BUFFERS * BUFFER];
static size_t gathered_size;

static void fail(const char *what, int error)
{
	printf("%s: %s\n", what, error < 0 ? strerror(-error) : "not as it should be");
	exit(1);
}

static void must(bool holds, const char *what)
{
	if (!holds)
		fail(what, 0);
}

static struct io_uring_sqe *next(unsigned long tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe)
		fail("no room in the ring", -ENOSPC);
	io_uring_sqe_set_data64(sqe, tag);
	return sqe;
}

static void gather(const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_BUFFER) || cqe->res < 0)
		return;
	must(gathered_size + cqe->res <= sizeof(gathered), "no more than the buffers hold");
	memcpy(gathered + gathered_size, buffers[cqe->flags >> IORING_CQE_BUFFER_SHIFT], cqe->res);
	gathered_size += cqe->res;
}

/*
 * The last results of operations 0..count-1, after so many completions in any
 * order. Returns which of the operations go on, as bits.
 */
static unsigned int complete(int *results, unsigned int count, unsigned int completions)
{
	unsigned int i, more = 0;
	struct io_uring_cqe *cqe;
	int error = io_uring_submit(&ring);

	if (error < 0)
		fail("submit", error);
	for (i = 0; i < completions; i++) {
		error = io_uring_wait_cqe(&ring, &cqe);
		if (error)
			fail("wait", error);
		must(cqe->user_data < count, "an operation of that number");
		results[cqe->user_data] = cqe->res;
		more &= ~(1u << cqe->user_data);
		if (cqe->flags & IORING_CQE_F_MORE)
			more |= 1u << cqe->user_data;
		gather(cqe);
		io_uring_cqe_seen(&ring, cqe);
	}
	return more;
}

static void submit(int *results, unsigned int count)
{
	complete(results, count, count);
}

static void want(int result, int wanted, const char *what)
{
	if (result == wanted)
		return;
	printf("%s: %d, not %d\n", what, result, wanted);
	exit(1);
}

/* ---- operations ------------------------------------------------------------- */

static int opened(int listener, int client, const struct sockaddr *address, socklen_t length)
{
	int results[2];

	io_uring_prep_accept(next(0), listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_prep_connect(next(1), client, address, length);
	submit(results, 2);
	if (results[0] < 0)
		fail("accept", results[0]);
	want(results[1], 0, "connect");
	return results[0];
}

static void exchange(int client, int server)
{
	char answer[16] = "", question[16] = "";
	int results[4];

	io_uring_prep_recv(next(0), server, question, 5, MSG_WAITALL);
	io_uring_prep_recv(next(1), client, answer, sizeof(answer), 0);
	io_uring_prep_send(next(2), client, "hello", 5, 0);
	io_uring_prep_send(next(3), server, "there", 5, 0);
	submit(results, 4);
	want(results[0], 5, "recv");
	want(results[1], 5, "recv");
	must(!memcmp(question, "hello", 5) && !memcmp(answer, "there", 5), "the same bytes");
}

static void messages(int client, int server)
{
	char first[4] = "", second[20] = "";
	struct iovec out[] = { { "in two ", 7 }, { "pieces", 6 } };
	struct iovec in[] = { { first, sizeof(first) }, { second, sizeof(second) } };
	struct msghdr sent = { .msg_iov = out, .msg_iovlen = 2 };
	struct msghdr got = { .msg_iov = in, .msg_iovlen = 2 };
	int results[2];

	io_uring_prep_recvmsg(next(0), server, &got, 0);
	io_uring_prep_sendmsg(next(1), client, &sent, MSG_NOSIGNAL);
	submit(results, 2);
	want(results[0], 13, "recvmsg");
	want(results[1], 13, "sendmsg");
	must(!memcmp(first, "in t", 4) && !memcmp(second, "wo pieces", 9), "the same bytes");
	want(got.msg_flags, 0, "flags of the message");
	want(got.msg_namelen, 0, "length of its address");
}

static void readiness(int client, int server)
{
	int results[2];
	char byte;

	io_uring_prep_poll_add(next(0), server, POLLIN);
	io_uring_prep_write(next(1), client, "x", 1, 0);
	submit(results, 2);
	must(results[0] > 0 && (results[0] & POLLIN), "poll says readable");
	want(results[1], 1, "write");
	io_uring_prep_read(next(0), server, &byte, 1, 0);
	submit(results, 1);
	want(results[0], 1, "read");
	must(byte == 'x', "the byte that was written");
}

static unsigned char byte_at(size_t position)
{
	return position * 2654435761u >> 24;
}

/* Both directions at once; `size` bytes each, many operations in flight. */
static void stream(int client, int server, size_t size)
{
	static unsigned char out[2][CHUNK], in[2][CHUNK];
	int fds[2] = { client, server }, end;
	size_t sent[2] = { 0, 0 }, got[2] = { 0, 0 }, i;
	bool sending[2] = { false, false }, receiving[2] = { false, false };
	struct io_uring_cqe *cqe;

	while (got[0] < size || got[1] < size) {
		for (end = 0; end < 2; end++) {
			size_t n = size - sent[end] < CHUNK ? size - sent[end] : CHUNK;

			if (!sending[end] && n) {
				for (i = 0; i < n; i++)
					out[end][i] = byte_at(sent[end] + i);
				io_uring_prep_send(next(end), fds[end], out[end], n, 0);
				sending[end] = true;
			}
			if (!receiving[end] && got[end] < size) {
				io_uring_prep_recv(next(2 + end), fds[end], in[end], CHUNK, 0);
				receiving[end] = true;
			}
		}
		if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_wait_cqe(&ring, &cqe))
			fail("wait", -errno);
		end = cqe->user_data & 1;
		if (cqe->res <= 0)
			fail(cqe->user_data < 2 ? "send" : "recv", cqe->res);
		if (cqe->user_data < 2) {
			sent[end] += cqe->res;
			sending[end] = false;
		} else {
			for (i = 0; i < (size_t)cqe->res; i++)
				must(in[end][i] == byte_at(got[end] + i), "the byte of that place");
			got[end] += cqe->res;
			receiving[end] = false;
		}
		io_uring_cqe_seen(&ring, cqe);
	}
}

static void given_up(int listener, int server)
{
	struct __kernel_timespec moment = { .tv_nsec = 20000000 };
	struct io_uring_sqe *sqe;
	int results[2];
	char byte;

	sqe = next(0);
	io_uring_prep_recv(sqe, server, &byte, 1, 0);
	io_uring_sqe_set_data64(sqe, 0);
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_prep_link_timeout(next(1), &moment, 0);
	submit(results, 2);
	want(results[0], -ECANCELED, "recv that takes too long");
	want(results[1], -ETIME, "its time limit");

	io_uring_prep_accept(next(0), listener, NULL, NULL, 0);
	io_uring_prep_cancel64(next(1), 0, 0);
	submit(results, 2);
	want(results[0], -ECANCELED, "accept that is cancelled");
	want(results[1], 0, "cancel");
}

/*
 * What was prepared as operation 0 sends `out` by reference: it completes, and
 * again when nobody needs the memory any more.
 */
static void sent_by_reference(int server, const unsigned char *out, const char *what)
{
	static unsigned char in[CHUNK];
	bool sent = false, free_again = false, received = false;
	struct io_uring_cqe *cqe;
	int i;

	io_uring_prep_recv(next(1), server, in, CHUNK, MSG_WAITALL);
	if (io_uring_submit(&ring) < 0)
		fail("submit", -errno);
	for (i = 0; i < 3; i++) {
		if (io_uring_wait_cqe(&ring, &cqe))
			fail("wait", -errno);
		if (cqe->user_data == 1) {
			want(cqe->res, CHUNK, "recv");
			received = true;
		} else if (cqe->flags & IORING_CQE_F_NOTIF) {
			must(sent && !free_again && !(cqe->flags & IORING_CQE_F_MORE), "one notification");
			free_again = true;
		} else {
			want(cqe->res, CHUNK, what);
			must(!sent && (cqe->flags & IORING_CQE_F_MORE), "a notification to come");
			sent = true;
		}
		io_uring_cqe_seen(&ring, cqe);
	}
	must(sent && free_again && received, what);
	must(!memcmp(in, out, CHUNK), "the same bytes");
}

static void by_reference(int client, int server)
{
	static unsigned char out[CHUNK];
	struct iovec whole = { out, CHUNK }, halves[] = { { out, CHUNK / 2 }, { out + CHUNK / 2, CHUNK / 2 } };
	struct msghdr msg = { .msg_iov = halves, .msg_iovlen = 2 };
	size_t i;

	for (i = 0; i < CHUNK; i++)
		out[i] = byte_at(i);
	io_uring_prep_send_zc(next(0), client, out, CHUNK, MSG_WAITALL, 0);
	sent_by_reference(server, out, "send_zc");
	out[0]++;	/* it may be used again */
	io_uring_prep_sendmsg_zc(next(0), client, &msg, MSG_WAITALL);
	sent_by_reference(server, out, "sendmsg_zc");
	out[0]++;
	want(io_uring_register_buffers(&ring, &whole, 1), 0, "registration of memory");
	io_uring_prep_send_zc_fixed(next(0), client, out, CHUNK, MSG_WAITALL, 0, 0);
	sent_by_reference(server, out, "send_zc of registered memory");
	want(io_uring_unregister_buffers(&ring), 0, "its end");
}

/* Socket to pipe and pipe to socket, without a copy of the program's own. */
static void spliced(int client, int server)
{
	int pipes[2], results[2];
	char back[10] = "";

	if (pipe(pipes))
		fail("pipe", -errno);
	io_uring_prep_splice(next(0), server, -1, pipes[1], -1, 10, 0);
	io_uring_prep_send(next(1), client, "0123456789", 10, 0);
	submit(results, 2);
	want(results[0], 10, "splice out of a socket");
	io_uring_prep_splice(next(0), pipes[0], -1, server, -1, 10, 0);
	io_uring_prep_recv(next(1), client, back, 10, MSG_WAITALL);
	submit(results, 2);
	want(results[0], 10, "splice into a socket");
	want(results[1], 10, "recv");
	must(!memcmp(back, "0123456789", 10), "the same bytes");
	close(pipes[0]);
	close(pipes[1]);
}

/* Clients made by the ring, servers by one accept that goes on. */
static void accepts(int listener, const struct sockaddr *address, socklen_t length, int family,
		    int protocol, int clients[2], int servers[2])
{
	int results[2], i;

	io_uring_prep_socket(next(0), family, SOCK_STREAM, protocol, 0);
	io_uring_prep_socket(next(1), family, SOCK_STREAM, protocol, 0);
	submit(clients, 2);
	if (clients[0] < 0 || clients[1] < 0)
		fail("socket", clients[0] < 0 ? clients[0] : clients[1]);
	io_uring_prep_multishot_accept(next(0), listener, NULL, NULL, 0);
	for (i = 0; i < 2; i++) {
		io_uring_prep_connect(next(1), clients[i], address, length);
		must(complete(results, 2, 2) == 1, "accept goes on");
		want(results[1], 0, "connect");
		if (results[0] < 0)
			fail("accept", results[0]);
		servers[i] = results[0];
	}
	io_uring_prep_cancel64(next(1), 0, 0);
	must(complete(results, 2, 2) == 0, "accept goes on no more");
	want(results[0], -ECANCELED, "accept that is cancelled");
	want(results[1], 0, "cancel");
}

static void provide(int number)
{
	io_uring_buf_ring_add(provided, buffers[number], BUFFER, number,
			      io_uring_buf_ring_mask(BUFFERS), 0);
	io_uring_buf_ring_advance(provided, 1);
}

static void receive_on(int server)
{
	struct io_uring_sqe *sqe = next(0);

	io_uring_prep_recv_multishot(sqe, server, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
}

/* One recv that goes on, as long as there are buffers to choose. */
static void provided_buffers(int client, int server)
{
	struct io_uring_buf_reg reg = { .ring_entries = BUFFERS, .bgid = GROUP };
	char rest[20] = "";
	int results[2], i;

	if (posix_memalign((void **)&provided, 4096, 4096))
		fail("memory", -ENOMEM);
	reg.ring_addr = (unsigned long)provided;
	io_uring_buf_ring_init(provided);
	want(io_uring_register_buf_ring(&ring, &reg, 0), 0, "registration of buffers");
	for (i = 0; i < BUFFERS; i++)
		provide(i);

	receive_on(server);
	for (i = 0; i < 2; i++) {
		io_uring_prep_send(next(1), client, i ? "second" : "first ", 6, 0);
		must(complete(results, 2, 2) == 1, "recv goes on");
		want(results[0], 6, "recv");
	}
	io_uring_prep_send(next(1), client, "0123456789abcdefghijklmnopqrstuvwxyz", 36, 0);
	must(complete(results, 2, 4) == 0, "recv goes on no more");
	want(results[0], -ENOBUFS, "recv without buffers");
	want(gathered_size, 12 + 2 * BUFFER, "what came before");
	must(!memcmp(gathered, "first second0123456789abcdefghijklmnopqrstuv", gathered_size),
	     "the same bytes");
	io_uring_prep_recv(next(0), server, rest, sizeof(rest), 0);
	submit(results, 1);
	want(results[0], 4, "recv of the rest");
	must(!memcmp(rest, "wxyz", 4), "the bytes after those");

	provide(0);
	receive_on(server);
	io_uring_prep_shutdown(next(1), client, SHUT_WR);
	must(complete(results, 2, 2) == 0, "recv goes on no more");
	want(results[0], 0, "recv at the end");
	close(client);
	close(server);
	free(provided);
}

static void ended(int client, int server)
{
	int results[3];
	char byte;

	io_uring_prep_recv(next(0), server, &byte, 1, 0);
	io_uring_prep_shutdown(next(1), client, SHUT_WR);
	submit(results, 2);
	want(results[0], 0, "recv at the end");
	want(results[1], 0, "shutdown");
	io_uring_prep_send(next(0), client, "x", 1, MSG_NOSIGNAL);
	submit(results, 1);
	want(results[0], -EPIPE, "send after shutdown");
	io_uring_prep_recv(next(0), client, &byte, 1, 0);
	io_uring_prep_close(next(1), server);
	submit(results, 2);
	want(results[0], 0, "recv when the other has closed");
	want(results[1], 0, "close");
}

int main(int argc, char **argv)
{
	unsigned char address[128];
	size_t length, i;
	int error, listener, client, server, clients[2], servers[2];

	if (argc != 7 || strlen(argv[3]) > 2 * sizeof(address)) {
		fprintf(stderr, "usage: uring LISTENER CLIENT ADDRESS SIZE FAMILY PROTOCOL\n");
		return 2;
	}
	listener = atoi(argv[1]);
	client = atoi(argv[2]);
	length = strlen(argv[3]) / 2;
	for (i = 0; i < length; i++)
		sscanf(argv[3] + 2 * i, "%2hhx", &address[i]);
	error = io_uring_queue_init(16, &ring, 0);
	if (error)
		fail("io_uring", error);
	server = opened(listener, client, (struct sockaddr *)address, length);
	exchange(client, server);
	messages(client, server);
	readiness(client, server);
	stream(client, server, strtoul(argv[4], NULL, 10));
	given_up(listener, server);
	by_reference(client, server);
	spliced(client, server);
	ended(client, server);
	accepts(listener, (struct sockaddr *)address, length, atoi(argv[5]), atoi(argv[6]), clients, servers);
	provided_buffers(clients[0], servers[0]);
	exchange(clients[1], servers[1]);
	io_uring_queue_exit(&ring);
	return 0;
}
