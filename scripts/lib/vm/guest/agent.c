// SPDX-License-Identifier: GPL-2.0
/*
 * The agent runs one command in the guest and carries its standard streams and
 * its exit status over one channel to the host, apart from the kernel's console.
 *
 * A frame is "WORD LENGTH\n" and LENGTH bytes. To the host: out, err, exit (the
 * status in decimal). From the host: in, eof, size ("ROWS COLUMNS").
 *
 * usage: agent [-t] CHANNEL-FD COMMAND [ARGUMENT...]	(-t: on a terminal)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536, HEADER_MAX = 32, GRACE_MS = 500 };

static int channel;
static int to_child = -1;	/* -1 once closed */
static int from_child[2] = { -1, -1 };
static int terminal;

/* What the host sent: a header so far, then a payload not yet handed on. */
static char header[HEADER_MAX];
static size_t header_length;
static size_t payload_left;
static char word[HEADER_MAX];
static char input[CHUNK];
static size_t input_start, input_end;

static void write_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		data += n;
		length -= n;
	}
}

static void send_frame(const char *type, const char *data, size_t length)
{
	static char frame[HEADER_MAX + CHUNK];
	int n = snprintf(frame, HEADER_MAX, "%s %zu\n", type, length);

	memcpy(frame + n, data, length);
	write_all(channel, frame, n + length);
}

static void close_input(void)
{
	if (to_child < 0 || terminal)
		return;
	close(to_child);
	to_child = -1;
}

static void resize(char *text)
{
	struct winsize size = { 0 };

	if (terminal && sscanf(text, "%hu %hu", &size.ws_row, &size.ws_col) == 2)
		ioctl(from_child[0], TIOCSWINSZ, &size);
}

/* Handles bytes [input_start, input_end) up to what the child takes now. */
static void handle_payload(void)
{
	size_t n = input_end - input_start;

	if (n > payload_left)
		n = payload_left;
	if (!strcmp(word, "in") && to_child >= 0) {
		ssize_t written = write(to_child, input + input_start, n);

		if (written < 0 && errno == EAGAIN)
			return;
		if (written < 0)
			close_input();
		else
			n = written;
	} else if (!strcmp(word, "size")) {
		char text[HEADER_MAX] = "";

		memcpy(text, input + input_start, n < sizeof(text) ? n : sizeof(text) - 1);
		resize(text);
	}
	input_start += n;
	payload_left -= n;
}

static void handle_header_byte(void)
{
	char byte = input[input_start++];

	if (byte != '\n') {
		if (header_length < sizeof(header) - 1)
			header[header_length++] = byte;
		return;
	}
	header[header_length] = 0;
	header_length = 0;
	if (sscanf(header, "%31s %zu", word, &payload_left) == 2 && !strcmp(word, "eof"))
		close_input();
}

/* True when input waits for the child to take it. */
static int handle_input(void)
{
	while (input_start < input_end) {
		size_t before = input_start;

		if (payload_left)
			handle_payload();
		else
			handle_header_byte();
		if (input_start == before)
			return 1;
	}
	return 0;
}

static void read_channel(void)
{
	ssize_t n = read(channel, input, sizeof(input));

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		_exit(1);	/* nobody is left to tell */
	input_start = 0;
	input_end = n > 0 ? n : 0;
}

/* False at the end of the stream. */
static int forward(int fd, const char *type)
{
	char data[CHUNK];
	ssize_t n = read(fd, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n <= 0)
		return 0;
	send_frame(type, data, n);
	return 1;
}

/* SIGCHLD gets through in ppoll() only, so that none is missed. */
static void block_child_signal(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(how, &set, NULL);
}

static void run(char **command)
{
	int fd;

	for (fd = 3; fd < 64; fd++)
		close(fd);
	signal(SIGPIPE, SIG_DFL);
	block_child_signal(SIG_UNBLOCK);
	execvp(command[0], command);
	fprintf(stderr, "%s: %s\n", command[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static pid_t start_on_terminal(char **command)
{
	pid_t child = forkpty(&from_child[0], NULL, NULL, NULL);

	if (child == 0)
		run(command);
	to_child = dup(from_child[0]);
	return child;
}

static pid_t start_on_pipes(char **command)
{
	int in[2], out[2], err[2];
	pid_t child;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return -1;
	child = fork();
	if (child == 0) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		run(command);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	to_child = in[1];
	from_child[0] = out[0];
	from_child[1] = err[0];
	return child;
}

static void on_child(int signal)
{
	(void)signal;	/* interrupts poll() */
}

static long long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/*
 * Carries data until the child is gone and its streams have ended. What it left
 * running may still write for GRACE_MS, and is then killed: it could keep the
 * streams open, or the module in use.
 */
static int carry(pid_t child)
{
	static const char *const type[2] = { "out", "err" };
	int status = 0, alive = 1, stuck = 0, i;
	long long kill_at = 0;
	sigset_t none;

	sigemptyset(&none);
	while (alive || from_child[0] >= 0 || from_child[1] >= 0) {
		struct pollfd fds[] = {
			{ .fd = from_child[0], .events = POLLIN },
			{ .fd = from_child[1], .events = POLLIN },
			{ .fd = alive && !stuck ? channel : -1, .events = POLLIN },
			{ .fd = stuck ? to_child : -1, .events = POLLOUT },
		};
		struct timespec grace = { 0 };
		long long left;

		if (alive && waitpid(child, &status, WNOHANG) == child) {
			alive = 0;
			kill_at = milliseconds() + GRACE_MS;
			continue;
		}
		if (!alive) {
			left = kill_at - milliseconds();
			if (left <= 0) {
				kill(-1, SIGKILL);
				left = GRACE_MS;
			}
			grace.tv_nsec = left * 1000 * 1000;
		}
		if (ppoll(fds, 4, alive ? NULL : &grace, &none) <= 0)
			continue;
		for (i = 0; i < 2; i++) {
			if (fds[i].revents && !forward(from_child[i], type[i])) {
				close(from_child[i]);
				from_child[i] = -1;
			}
		}
		if (fds[2].revents)
			read_channel();
		if (fds[2].revents || fds[3].revents)
			stuck = handle_input();
	}
	kill(-1, SIGKILL);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct sigaction child_action = { .sa_handler = on_child };
	char text[16];
	pid_t child;
	int n;

	terminal = argc > 1 && !strcmp(argv[1], "-t");
	argv += terminal;
	argc -= terminal;
	if (argc < 3) {
		fprintf(stderr, "usage: agent [-t] CHANNEL-FD COMMAND [ARGUMENT...]\n");
		return 2;
	}
	channel = atoi(argv[1]);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGCHLD, &child_action, NULL);
	block_child_signal(SIG_BLOCK);
	child = terminal ? start_on_terminal(argv + 2) : start_on_pipes(argv + 2);
	if (child < 0) {
		perror("agent");
		return 1;
	}
	fcntl(to_child, F_SETFL, O_NONBLOCK);
	n = snprintf(text, sizeof(text), "%d", carry(child));
	send_frame("exit", text, n);
	return 0;
}
