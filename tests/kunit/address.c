// SPDX-License-Identifier: GPL-2.0
/* Addresses from user space: lengths, families, and what bind() makes of them. */
#include "address.h"
#include "control.h"
#include "fixture.h"
#include "sluice.h"

#define LEAST 24	/* a sockaddr_in6 of RFC 2133: without scope id */

static struct sockaddr_sluice sample(struct kunit *test)
{
	struct sockaddr_sluice address = fixture_address(test, "fe80::1:2", 4711);

	address.ssl_flowinfo = htonl(0x12345);
	address.ssl_scope_id = 7;
	return address;
}

static int read_as(bool family, const struct sockaddr_sluice *address, int length,
		   struct sockaddr_in6 *out)
{
	memset(out, 0xa5, sizeof(*out));
	return sluice_address_read(family, (const struct sockaddr *)address, length, out);
}

static void every_field_is_read(struct kunit *test)
{
	struct sockaddr_sluice address = sample(test);
	struct sockaddr_in6 out;

	KUNIT_ASSERT_EQ(test, read_as(true, &address, sizeof(address), &out), 0);
	KUNIT_EXPECT_EQ(test, out.sin6_family, AF_INET6);
	KUNIT_EXPECT_EQ(test, ntohs(out.sin6_port), 4711);
	KUNIT_EXPECT_EQ(test, ntohl(out.sin6_flowinfo), 0x12345);
	KUNIT_EXPECT_MEMEQ(test, &out.sin6_addr, &address.ssl_addr, 16);
	KUNIT_EXPECT_EQ(test, out.sin6_scope_id, 7);
}

static void short_addresses_are_refused(struct kunit *test)
{
	struct sockaddr_sluice address = sample(test);
	struct sockaddr_in6 out;
	int length;

	for (length = -1; length < LEAST; length++)
		KUNIT_EXPECT_EQ_MSG(test, read_as(true, &address, length, &out), -EINVAL,
				    "length %d", length);
}

static void a_missing_scope_is_zero(struct kunit *test)
{
	struct sockaddr_sluice address = sample(test);
	struct sockaddr_in6 out;

	KUNIT_ASSERT_EQ(test, read_as(true, &address, LEAST, &out), 0);
	KUNIT_EXPECT_EQ(test, out.sin6_scope_id, 0);
	KUNIT_EXPECT_MEMEQ(test, &out.sin6_addr, &address.ssl_addr, 16);
}

static void what_is_too_long_is_cut(struct kunit *test)
{
	struct {
		struct sockaddr_in6 out;
		u8 guard[100];
	} to;
	struct {
		struct sockaddr_sluice address;
		u8 more[100];
	} from = { .address = sample(test) };

	memset(&to, 0x11, sizeof(to));
	KUNIT_ASSERT_EQ(test, sluice_address_read(true, (struct sockaddr *)&from, sizeof(from),
						  &to.out), 0);
	KUNIT_EXPECT_EQ(test, to.out.sin6_scope_id, 7);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(to.guard, 0x11, sizeof(to.guard)), NULL);
}

static void other_families_are_refused(struct kunit *test)
{
	static const u16 families[] = { AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, 0xffff };
	struct sockaddr_sluice address = sample(test);
	struct sockaddr_in6 out;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		address.ssl_family = families[i];
		KUNIT_EXPECT_EQ_MSG(test, read_as(true, &address, sizeof(address), &out),
				    -EAFNOSUPPORT, "family %u", families[i]);
	}
}

static void the_inet6_entrance_takes_inet6_alone(struct kunit *test)
{
	struct sockaddr_sluice address = sample(test);
	struct sockaddr_in6 out;

	KUNIT_EXPECT_EQ(test, read_as(false, &address, sizeof(address), &out), -EAFNOSUPPORT);
	address.ssl_family = AF_INET6;
	KUNIT_ASSERT_EQ(test, read_as(false, &address, sizeof(address), &out), 0);
	KUNIT_EXPECT_EQ(test, ntohs(out.sin6_port), 4711);
}

static void bind_refuses_addresses_of_others(struct kunit *test)
{
	struct socket *sock = fixture_socket(test, sluice_family);

	KUNIT_EXPECT_EQ(test, fixture_bind(test, sock, "2001:db8::1", 0), -EADDRNOTAVAIL);
	KUNIT_EXPECT_EQ(test, fixture_bind(test, sock, "192.0.2.1", 0), -EADDRNOTAVAIL);
	/* multicast; link-local without an interface */
	KUNIT_EXPECT_EQ(test, fixture_bind(test, sock, "ff02::1", 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, fixture_bind(test, sock, "fe80::1", 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, fixture_port(sock), 0);
}

static void bind_refuses_short_addresses(struct kunit *test)
{
	struct socket *sock = fixture_socket(test, sluice_family);
	struct sockaddr_sluice address = fixture_address(test, "::1", 0);

	KUNIT_EXPECT_EQ(test, kernel_bind(sock, (struct sockaddr *)&address, LEAST - 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kernel_bind(sock, (struct sockaddr *)&address, LEAST), 0);
}

static void a_socket_tells_its_address_in_its_own_family(struct kunit *test)
{
	struct sockaddr_sluice address, any = fixture_address(test, "127.0.0.1", 0);
	struct socket *sock = fixture_socket(test, sluice_family);

	KUNIT_ASSERT_EQ(test, fixture_bind(test, sock, "127.0.0.1", 0), 0);
	KUNIT_EXPECT_EQ(test, kernel_getsockname(sock, (struct sockaddr *)&address),
			(int)sizeof(address));
	KUNIT_EXPECT_EQ(test, address.ssl_family, sluice_family);
	KUNIT_EXPECT_EQ(test, ntohs(address.ssl_port), fixture_port(sock));
	KUNIT_EXPECT_MEMEQ(test, &address.ssl_addr, &any.ssl_addr, 16);
	KUNIT_EXPECT_EQ(test, kernel_getpeername(sock, (struct sockaddr *)&address), -ENOTCONN);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(every_field_is_read),
	KUNIT_CASE(short_addresses_are_refused),
	KUNIT_CASE(a_missing_scope_is_zero),
	KUNIT_CASE(what_is_too_long_is_cut),
	KUNIT_CASE(other_families_are_refused),
	KUNIT_CASE(the_inet6_entrance_takes_inet6_alone),
	KUNIT_CASE(bind_refuses_addresses_of_others),
	KUNIT_CASE(bind_refuses_short_addresses),
	KUNIT_CASE(a_socket_tells_its_address_in_its_own_family),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_address",
	.test_cases = cases,
};

kunit_test_suite(suite);
