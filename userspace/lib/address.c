/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses as text. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsluice.h"

/* Splits at the colon that precedes the port; brackets guard IPv6. */
static const char *split(const char *text, char *host, size_t size, const char **port)
{
	const char *end, *from = text;

	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return "an IPv6 address is written [address]:port";
		from = text + 1;
		*port = end + 2;
	} else {
		end = strrchr(text, ':');
		if (end && strchr(text, ':') != end)
			return "an IPv6 address is written [address]:port";
		*port = end ? end + 1 : text;
		if (!end)
			end = text;
	}
	if ((size_t)(end - from) >= size)
		return "the host name is too long";
	memcpy(host, from, end - from);
	host[end - from] = '\0';
	if (!**port)
		return "the port is missing";
	return NULL;
}

static const char *look_up(const char *host, const char *port, bool passive,
			   struct addrinfo **found)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_family = AF_INET6,
		.ai_flags = AI_V4MAPPED | AI_ALL | (passive ? AI_PASSIVE : 0),
	};
	bool any = !host[0] || !strcmp(host, "*");
	int error;

	/* The C library would take the rest of a division by 65536. */
	if (strtoul(port, NULL, 10) > 65535)
		return "a port is at most 65535";
	error = getaddrinfo(any ? NULL : host, port, &hints, found);
	if (error == EAI_SYSTEM)
		return strerror(errno);
	if (error == EAI_SERVICE)
		return "no such port";
	return error ? gai_strerror(error) : NULL;
}

const char *sluice_parse_address(const char *text, bool passive, struct sockaddr_sluice *list,
				 unsigned int *count)
{
	unsigned int most = *count;
	struct addrinfo *found, *one;
	const char *port, *wrong;
	char host[256];

	wrong = split(text, host, sizeof(host), &port);
	if (wrong)
		return wrong;
	if (!host[0] && !passive)
		return strchr(text, ':') ? "the host is missing" : "HOST:PORT is wanted";
	wrong = look_up(host, port, passive, &found);
	if (wrong)
		return wrong;
	/* sockaddr_sluice has sockaddr_in6's layout. */
	for (*count = 0, one = found; one && *count < most; one = one->ai_next)
		memcpy(&list[(*count)++], one->ai_addr, sizeof(*list));
	freeaddrinfo(found);
	return NULL;
}

char *sluice_format_address(const uint8_t address[16], uint32_t scope, uint16_t port_be,
			    char text[SLUICE_ADDRESS_TEXT])
{
	char host[INET6_ADDRSTRLEN], zone[IF_NAMESIZE], port[8] = "*";
	struct in6_addr a;

	memcpy(&a, address, sizeof(a));
	if (port_be)
		snprintf(port, sizeof(port), "%u", ntohs(port_be));
	if (IN6_IS_ADDR_UNSPECIFIED(&a)) {
		snprintf(text, SLUICE_ADDRESS_TEXT, "*:%s", port);
	} else if (IN6_IS_ADDR_V4MAPPED(&a)) {
		inet_ntop(AF_INET, &address[12], host, sizeof(host));
		snprintf(text, SLUICE_ADDRESS_TEXT, "%s:%s", host, port);
	} else {
		inet_ntop(AF_INET6, &a, host, sizeof(host));
		if (scope && IN6_IS_ADDR_LINKLOCAL(&a) && if_indextoname(scope, zone))
			snprintf(text, SLUICE_ADDRESS_TEXT, "[%s%%%s]:%s", host, zone, port);
		else
			snprintf(text, SLUICE_ADDRESS_TEXT, "[%s]:%s", host, port);
	}
	return text;
}
