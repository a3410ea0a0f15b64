/* A program that says which trace it is working on, and then does something that the kernel has a part in:
 *
 *     make -C examples demo
 *     TRACEPARENT=00-$(openssl rand -hex 16)-$(openssl rand -hex 8)-01 examples/spans/demo sched
 *
 * sched:          it sleeps, ten times                      for sched-trace
 * cfs-throttling: it computes, for a second of CPU time     for cfs-throttling-trace, in a cgroup with a limit
 * sock:           it talks to itself, and is cut off        for sock-trace
 *
 * TRACEPARENT is the header `traceparent` of W3C's trace context, as a service would have it of each request. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "usdt.h"

struct context {
	unsigned char trace_id[16];
	unsigned char span_id[8];
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void read_hex(unsigned char *bytes, size_t length, const char *digits)
{
	unsigned int byte;

	for (size_t i = 0; i < length; i++) {
		if (sscanf(digits + 2 * i, "%2x", &byte) != 1) {
			fprintf(stderr, "TRACEPARENT is not 00-32 digits-16 digits-01\n");
			exit(2);
		}
		bytes[i] = byte;
	}
}

static struct context read_context(const char *header)
{
	struct context context = {};

	if (!header || strlen(header) != 55) {
		fprintf(stderr, "set TRACEPARENT to 00-32 digits-16 digits-01\n");
		exit(2);
	}
	read_hex(context.trace_id, sizeof(context.trace_id), header + 3);
	read_hex(context.span_id, sizeof(context.span_id), header + 36);
	return context;
}

/* Ids are bytes in a certain order. As numbers they pass the probe so that the same bytes lie in memory behind it. */
static uint64_t number(const unsigned char *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return number;
}

static void sleep_often(const struct context *at)
{
	struct timespec moment = { .tv_nsec = 1000000 };

	PROBE3(ebpf_exporter, sched_set_parent_span, number(at->trace_id), number(at->trace_id + 8),
	       number(at->span_id));
	for (int i = 0; i < 10; i++)
		nanosleep(&moment, NULL);
	PROBE0(ebpf_exporter, sched_clear_parent_span);
}

static void compute(const struct context *at)
{
	PROBE3(ebpf_exporter, cfs_set_parent_span, number(at->trace_id), number(at->trace_id + 8),
	       number(at->span_id));
	while (clock() < CLOCKS_PER_SEC)
		;
	PROBE0(ebpf_exporter, cfs_clear_parent_span);
}

/* The kernel gives a connection a number that no other ever has, to whoever asks. */
static uint64_t cookie_of(int connection)
{
	uint64_t cookie;
	socklen_t length = sizeof(cookie);

	if (getsockopt(connection, SOL_SOCKET, SO_COOKIE, &cookie, &length))
		fail("SO_COOKIE");
	return cookie;
}

/* A server closes a connection with an error when there is still something unread. */
static void talk(const struct context *at)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), server;

	if (bind(listener, (void *)&address, length) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &length) || connect(client, (void *)&address, length))
		fail("no connection to myself");
	server = accept(listener, NULL, NULL);
	PROBE5(ebpf_exporter, sock_set_parent_span, cookie_of(client), number(at->trace_id),
	       number(at->trace_id + 8), number(at->span_id), 42);
	if (send(client, "hello", 5, 0) != 5)
		fail("send");
	close(server);
	close(client);
	close(listener);
}

int main(int count, char **arguments)
{
	struct context at = read_context(getenv("TRACEPARENT"));
	const char *what = count == 2 ? arguments[1] : "";

	if (!strcmp(what, "sched"))
		sleep_often(&at);
	else if (!strcmp(what, "cfs-throttling"))
		compute(&at);
	else if (!strcmp(what, "sock"))
		talk(&at);
	else
		fprintf(stderr, "usage: demo sched|cfs-throttling|sock\n");
	return 0;
}
