// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink, asked as a program asks: what is granted, what is refused
 * and why, and that a refused request changes nothing.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/genetlink.h>
#include <net/genetlink.h>
#include <net/ipv6.h>

#include "cc_registry.h"
#include "control.h"
#include "fastopen_key.h"
#include "fixture.h"
#include "params.h"
#include "sluice.h"
#include "text_params.h"

#define ANSWER_SIZE 65536

/* A netlink socket and the answer to the last request. */
struct talk {
	struct file *file;
	struct socket *sock;
	struct sk_buff *request;
	u16 family;
	u8 *answer;			/* all of it, as `rows` points into it */
	int error;			/* of the request: 0 or a negative errno */
	char why[100];			/* the kernel's words about it */
	struct nlattr *rows[SLUICE_A_MAX + 1];	/* of the last message that isn't the error */
	unsigned int messages;
};

static void close_file(void *file)
{
	fput(file);
	flush_delayed_fput();
}

static void drop_request(void *talk)
{
	kfree_skb(((struct talk *)talk)->request);
}

static void begin(struct kunit *test, struct talk *t, u8 command, u16 flags)
{
	struct nlmsghdr *nlh;
	struct genlmsghdr *genl;

	skb_trim(t->request, 0);
	nlh = nlmsg_put(t->request, 0, 1, t->family, sizeof(*genl),
			NLM_F_REQUEST | NLM_F_ACK | flags);
	KUNIT_ASSERT_NOT_NULL(test, nlh);
	genl = nlmsg_data(nlh);
	*genl = (struct genlmsghdr) { .cmd = command, .version = 1 };
}

static void parse_error(struct talk *t, struct nlmsghdr *nlh)
{
	struct nlattr *rows[NLMSGERR_ATTR_MAX + 1];
	struct nlmsgerr *e = nlmsg_data(nlh);
	int skip = sizeof(*e);

	t->error = e->error;
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - sizeof(struct nlmsghdr);
	if (!nlmsg_parse_deprecated(nlh, NLMSG_ALIGN(skip), rows, NLMSGERR_ATTR_MAX, NULL, NULL) &&
	    rows[NLMSGERR_ATTR_MSG])
		nla_strscpy(t->why, rows[NLMSGERR_ATTR_MSG], sizeof(t->why));
}

static bool is_last(const struct nlmsghdr *nlh)
{
	return nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE;
}

/* One datagram of answers. True: the last. */
static bool parse(struct talk *t, void *datagram, int left)
{
	struct nlmsghdr *nlh = datagram;

	for (; nlmsg_ok(nlh, left); nlh = nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_type == NLMSG_ERROR)
			parse_error(t, nlh);
		if (is_last(nlh))
			return true;
		t->messages++;
		nlmsg_parse_deprecated(nlh, GENL_HDRLEN, t->rows, SLUICE_A_MAX, NULL, NULL);
	}
	return false;
}

/* Sends what is in the request and reads until all is said. */
static int ask(struct kunit *test, struct talk *t)
{
	struct nlmsghdr *nlh = nlmsg_hdr(t->request);
	u32 at, next = 0;
	int length;

	nlh->nlmsg_len = t->request->len;
	t->error = 0;
	t->messages = 0;
	t->why[0] = 0;
	memset(t->rows, 0, sizeof(t->rows));
	KUNIT_ASSERT_EQ(test, fixture_send(t->sock, t->request->data, t->request->len),
			t->request->len);
	do {
		at = next;
		length = fixture_receive(t->sock, t->answer + at, ANSWER_SIZE - at,
					 MSG_DONTWAIT);
		KUNIT_ASSERT_GT(test, length, 0);
		next = at + NLMSG_ALIGN(length);
	} while (!parse(t, t->answer + at, length));
	return t->error;
}

static void find_family(struct kunit *test, struct talk *t)
{
	t->family = GENL_ID_CTRL;
	begin(test, t, CTRL_CMD_GETFAMILY, 0);
	nla_put_string(t->request, CTRL_ATTR_FAMILY_NAME, SLUICE_GENL_NAME);
	KUNIT_ASSERT_EQ(test, ask(test, t), 0);
	KUNIT_ASSERT_NOT_NULL(test, t->rows[CTRL_ATTR_FAMILY_ID]);
	t->family = nla_get_u16(t->rows[CTRL_ATTR_FAMILY_ID]);
}

static struct talk *talk(struct kunit *test)
{
	struct talk *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	int on = 1;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->answer = kunit_kzalloc(test, ANSWER_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->answer);
	t->request = nlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->request);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_request, t), 0);
	KUNIT_ASSERT_EQ(test, sock_create(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC, &t->sock), 0);
	/* Netlink looks at the capabilities of the file's opener. */
	t->file = sock_alloc_file(t->sock, 0, NULL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t->file));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, close_file, t->file), 0);
	KUNIT_ASSERT_EQ(test, t->sock->ops->setsockopt(t->sock, SOL_NETLINK, NETLINK_EXT_ACK,
						       KERNEL_SOCKPTR(&on), sizeof(on)), 0);
	find_family(test, t);
	return t;
}

/* ---- parameters and counters ------------------------------------------------------ */

static int get(struct kunit *test, struct talk *t, const char *name)
{
	begin(test, t, SLUICE_CMD_PARAM_GET, 0);
	nla_put_string(t->request, SLUICE_A_NAME, name);
	return ask(test, t);
}

static int set(struct kunit *test, struct talk *t, const char *name, u64 value)
{
	begin(test, t, SLUICE_CMD_PARAM_SET, 0);
	nla_put_string(t->request, SLUICE_A_NAME, name);
	nla_put(t->request, SLUICE_A_VALUE, sizeof(value), &value);
	return ask(test, t);
}

static int set_string(struct kunit *test, struct talk *t, const char *name, const char *value)
{
	begin(test, t, SLUICE_CMD_PARAM_SET, 0);
	nla_put_string(t->request, SLUICE_A_NAME, name);
	nla_put_string(t->request, SLUICE_A_STRING, value);
	return ask(test, t);
}

static void the_version_tells_the_family(struct kunit *test)
{
	struct talk *t = talk(test);

	begin(test, t, SLUICE_CMD_VERSION, 0);
	KUNIT_ASSERT_EQ(test, ask(test, t), 0);
	KUNIT_ASSERT_NOT_NULL(test, t->rows[SLUICE_A_FAMILY]);
	KUNIT_EXPECT_EQ(test, nla_get_u32(t->rows[SLUICE_A_FAMILY]), sluice_family);
	KUNIT_EXPECT_NOT_NULL(test, t->rows[SLUICE_A_VERSION]);
}

static void each_parameter_is_told_with_its_range(struct kunit *test)
{
	struct talk *t = talk(test);
	unsigned int i;

	for (i = 0; i < sluice_param_count; i++) {
		const struct sluice_param *p = &sluice_params[i];

		KUNIT_ASSERT_EQ(test, get(test, t, p->name), 0);
		KUNIT_EXPECT_EQ(test, t->messages, 1);
		KUNIT_EXPECT_EQ(test, nla_get_u64(t->rows[SLUICE_A_VALUE]),
				sluice_param_read(fixture_net(), p));
		KUNIT_EXPECT_EQ(test, nla_get_u64(t->rows[SLUICE_A_MINIMUM]), p->min);
		KUNIT_EXPECT_EQ(test, nla_get_u64(t->rows[SLUICE_A_MAXIMUM]), p->max);
		KUNIT_EXPECT_EQ(test, nla_get_u64(t->rows[SLUICE_A_DEFAULT]),
				sluice_param_standard(fixture_net(), p));
		KUNIT_EXPECT_EQ(test, nla_get_u8(t->rows[SLUICE_A_SOURCE]),
				sluice_param_sysctl(p) ? SLUICE_SOURCE_SYSCTL :
							 SLUICE_SOURCE_DEFAULT);
		KUNIT_EXPECT_EQ(test, !!t->rows[SLUICE_A_SYSCTL], !!sluice_param_sysctl(p));
	}
}

static void a_dump_has_a_row_for_each(struct kunit *test)
{
	struct talk *t = talk(test);

	begin(test, t, SLUICE_CMD_PARAM_GET, NLM_F_DUMP);
	KUNIT_EXPECT_EQ(test, ask(test, t), 0);
	KUNIT_EXPECT_EQ(test, t->messages, sluice_param_count + sluice_text_param_count);
	begin(test, t, SLUICE_CMD_COUNTERS, NLM_F_DUMP);
	KUNIT_EXPECT_EQ(test, ask(test, t), 0);
	KUNIT_EXPECT_EQ(test, t->messages, SLUICE_CNT_MAX);
	begin(test, t, SLUICE_CMD_CC_LIST, NLM_F_DUMP);
	KUNIT_EXPECT_EQ(test, ask(test, t), 0);
	KUNIT_EXPECT_EQ(test, t->messages, 2);
}

static void names_are_checked(struct kunit *test)
{
	struct talk *t = talk(test);
	static const char long_name[80] = { [0 ... 78] = 'x' };

	KUNIT_EXPECT_EQ(test, get(test, t, "nonesuch"), -ENOENT);
	KUNIT_EXPECT_STREQ(test, t->why, "no such parameter");
	KUNIT_EXPECT_EQ(test, get(test, t, ""), -ENOENT);
	KUNIT_EXPECT_EQ(test, get(test, t, long_name), -EINVAL);
	begin(test, t, SLUICE_CMD_PARAM_GET, 0);
	KUNIT_EXPECT_EQ(test, ask(test, t), -EINVAL);
	KUNIT_EXPECT_STREQ(test, t->why, "the name of a parameter is missing");
	begin(test, t, SLUICE_CMD_PARAM_GET, 0);
	nla_put(t->request, SLUICE_A_NAME, 3, "rto");	/* no NUL */
	KUNIT_EXPECT_EQ(test, ask(test, t), -EINVAL);
	begin(test, t, SLUICE_CMD_PARAM_GET, 0);
	nla_put(t->request, SLUICE_A_NAME, 0, NULL);
	KUNIT_EXPECT_LT(test, ask(test, t), 0);
}

static void setting_changes_the_namespace(struct kunit *test)
{
	struct talk *t = talk(test);

	fixture_set(test, "syn_retries", 6);	/* put back afterwards */
	KUNIT_EXPECT_EQ(test, set(test, t, "syn_retries", 4), 0);
	KUNIT_EXPECT_EQ(test, fixture_net()->config.syn_retries, 4);
	KUNIT_EXPECT_EQ(test, get(test, t, "syn_retries"), 0);
	KUNIT_EXPECT_EQ(test, nla_get_u64(t->rows[SLUICE_A_VALUE]), 4);
	KUNIT_EXPECT_EQ(test, nla_get_u8(t->rows[SLUICE_A_SOURCE]), SLUICE_SOURCE_SET);
}

static int reset(struct kunit *test, struct talk *t, const char *name)
{
	begin(test, t, SLUICE_CMD_PARAM_RESET, 0);
	nla_put_string(t->request, SLUICE_A_NAME, name);
	return ask(test, t);
}

static void what_was_set_is_taken_back(struct kunit *test)
{
	struct talk *t = talk(test);

	fixture_set(test, "syn_retries", 6);
	fixture_set(test, "time_wait", 60000000);
	KUNIT_EXPECT_EQ(test, set(test, t, "syn_retries", 4), 0);
	KUNIT_EXPECT_EQ(test, set(test, t, "time_wait", 5000000), 0);
	KUNIT_EXPECT_EQ(test, reset(test, t, "syn_retries"), 0);
	KUNIT_EXPECT_EQ(test, reset(test, t, "time_wait"), 0);
	KUNIT_EXPECT_EQ(test, fixture_net()->config.syn_retries,
			init_net.ipv4.sysctl_tcp_syn_retries);
	KUNIT_EXPECT_EQ(test, fixture_net()->config.time_wait, 60000000);
	KUNIT_EXPECT_EQ(test, get(test, t, "syn_retries"), 0);
	KUNIT_EXPECT_EQ(test, nla_get_u8(t->rows[SLUICE_A_SOURCE]), SLUICE_SOURCE_SYSCTL);
	KUNIT_EXPECT_STREQ(test, nla_data(t->rows[SLUICE_A_SYSCTL]), "net.ipv4.tcp_syn_retries");
	KUNIT_EXPECT_EQ(test, get(test, t, "time_wait"), 0);
	KUNIT_EXPECT_EQ(test, nla_get_u8(t->rows[SLUICE_A_SOURCE]), SLUICE_SOURCE_DEFAULT);
	KUNIT_EXPECT_EQ(test, reset(test, t, "nonesuch"), -ENOENT);
}

/* delayed_ack_min may stand where its greatest can't follow. */
static void a_default_that_contradicts_what_is_set_is_refused(struct kunit *test)
{
	struct talk *t = talk(test);

	fixture_set(test, "delayed_ack_max", 500000);
	fixture_set(test, "delayed_ack_min", 400000);
	KUNIT_EXPECT_EQ(test, reset(test, t, "delayed_ack_max"), -EINVAL);
	KUNIT_EXPECT_STREQ(test, t->why, "delayed_ack_min would be above delayed_ack_max");
	KUNIT_EXPECT_EQ(test, fixture_net()->config.delayed_ack_max, 500000);
	KUNIT_EXPECT_EQ(test, reset(test, t, "delayed_ack_min"), 0);
	KUNIT_EXPECT_EQ(test, reset(test, t, "delayed_ack_max"), 0);
}

static void bad_values_are_refused_with_a_reason(struct kunit *test)
{
	struct sluice_config *before = kunit_kmalloc(test, sizeof(*before), GFP_KERNEL);
	struct talk *t = talk(test);

	*before = fixture_net()->config;
	KUNIT_EXPECT_EQ(test, set(test, t, "syn_retries", 0), -ERANGE);
	KUNIT_EXPECT_STREQ(test, t->why, "the value is out of range");
	KUNIT_EXPECT_EQ(test, set(test, t, "syn_retries", U64_MAX), -ERANGE);
	KUNIT_EXPECT_EQ(test, set(test, t, "delayed_ack_min", 300000), -EINVAL);
	KUNIT_EXPECT_STREQ(test, t->why, "delayed_ack_min would be above delayed_ack_max");
	KUNIT_EXPECT_EQ(test, set(test, t, "nonesuch", 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, set_string(test, t, "syn_retries", "3"), -EINVAL);
	KUNIT_EXPECT_STREQ(test, t->why, "a number is wanted");
	KUNIT_EXPECT_MEMEQ(test, before, &fixture_net()->config, sizeof(*before));
}

static void values_of_another_size_are_refused(struct kunit *test)
{
	struct talk *t = talk(test);
	static const u8 bytes[16];
	int length;

	for (length = 0; length <= 16; length++) {
		if (length == sizeof(u64))
			continue;
		begin(test, t, SLUICE_CMD_PARAM_SET, 0);
		nla_put_string(t->request, SLUICE_A_NAME, "timestamps");
		nla_put(t->request, SLUICE_A_VALUE, length, bytes);
		KUNIT_EXPECT_LT_MSG(test, ask(test, t), 0, "%d bytes", length);
	}
	KUNIT_EXPECT_EQ(test, fixture_net()->config.timestamps, 1);
}

static void what_no_command_knows_is_refused(struct kunit *test)
{
	struct talk *t = talk(test);

	begin(test, t, SLUICE_CMD_MAX + 1, 0);
	KUNIT_EXPECT_EQ(test, ask(test, t), -EOPNOTSUPP);
	begin(test, t, SLUICE_CMD_PARAM_GET, 0);
	nla_put_string(t->request, SLUICE_A_NAME, "rto_min");
	nla_put_u32(t->request, SLUICE_A_MAX + 1, 1);
	KUNIT_EXPECT_EQ(test, ask(test, t), -EINVAL);
	begin(test, t, SLUICE_CMD_PARAM_GET, 0);
	nla_put_string(t->request, SLUICE_A_NAME, "rto_min");
	memcpy(skb_put(t->request, 3), "\x40\x00\x01", 3);	/* less than a header */
	KUNIT_EXPECT_EQ(test, ask(test, t), -EINVAL);
}

static void without_the_capability_nothing_can_be_set(struct kunit *test)
{
	struct talk *t = talk(test);
	struct cred *weak = prepare_creds();
	const struct cred *strong;

	KUNIT_ASSERT_NOT_NULL(test, weak);
	cap_lower(weak->cap_effective, CAP_NET_ADMIN);
	strong = override_creds(weak);
	KUNIT_EXPECT_EQ(test, set(test, t, "syn_retries", 4), -EPERM);
	KUNIT_EXPECT_EQ(test, set_string(test, t, "congestion_control", "reno"), -EPERM);
	KUNIT_EXPECT_EQ(test, reset(test, t, "syn_retries"), -EPERM);
	KUNIT_EXPECT_EQ(test, get(test, t, "syn_retries"), 0);
	revert_creds(strong);
	put_cred(weak);
	KUNIT_EXPECT_EQ(test, fixture_net()->config.syn_retries, 6);
}

static void drop_default(void *unused)
{
	sluice_cc_drop_default(fixture_net());
}

static void the_default_algorithm_is_a_parameter_too(struct kunit *test)
{
	struct talk *t = talk(test);

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_default, NULL), 0);
	KUNIT_EXPECT_EQ(test, set_string(test, t, "congestion_control", "reno"), 0);
	KUNIT_EXPECT_EQ(test, get(test, t, "congestion_control"), 0);
	KUNIT_EXPECT_STREQ(test, nla_data(t->rows[SLUICE_A_STRING]), "reno");
	KUNIT_EXPECT_EQ(test, set_string(test, t, "congestion_control", "nonesuch"), -ENOENT);
	KUNIT_EXPECT_EQ(test, set_string(test, t, "congestion_control", "much-too-long-a-name"),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, set(test, t, "congestion_control", 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, get(test, t, "congestion_control"), 0);
	KUNIT_EXPECT_STREQ(test, nla_data(t->rows[SLUICE_A_STRING]), "reno");
	KUNIT_EXPECT_EQ(test, nla_get_u8(t->rows[SLUICE_A_SOURCE]), SLUICE_SOURCE_SET);
	KUNIT_EXPECT_EQ(test, reset(test, t, "congestion_control"), 0);
	KUNIT_EXPECT_EQ(test, get(test, t, "congestion_control"), 0);
	KUNIT_EXPECT_STREQ(test, nla_data(t->rows[SLUICE_A_STRING]), "cubic");
	KUNIT_EXPECT_EQ(test, nla_get_u8(t->rows[SLUICE_A_SOURCE]), SLUICE_SOURCE_SYSCTL);
}

static void drop_key(void *unused)
{
	sluice_fastopen_key_follow(fixture_net());
}

static void a_secret_is_for_the_administrator(struct kunit *test)
{
	static const char key[] = "00000001-00000002-00000003-00000004";
	struct talk *t = talk(test);
	struct cred *weak = prepare_creds();
	const struct cred *strong;

	KUNIT_ASSERT_NOT_NULL(test, weak);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_key, NULL), 0);
	KUNIT_EXPECT_EQ(test, set_string(test, t, "fastopen_key", key), 0);
	KUNIT_EXPECT_EQ(test, get(test, t, "fastopen_key"), 0);
	KUNIT_EXPECT_STREQ(test, nla_data(t->rows[SLUICE_A_STRING]), key);
	cap_lower(weak->cap_effective, CAP_NET_ADMIN);
	strong = override_creds(weak);
	KUNIT_EXPECT_EQ(test, get(test, t, "fastopen_key"), -EPERM);
	KUNIT_EXPECT_EQ(test, t->messages, 0);
	revert_creds(strong);
	put_cred(weak);
}

/* The key is the last row. */
static void a_secret_is_in_no_list(struct kunit *test)
{
	struct talk *t = talk(test);

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_key, NULL), 0);
	KUNIT_EXPECT_EQ(test, set_string(test, t, "fastopen_key", "1-2-3-4"), 0);
	begin(test, t, SLUICE_CMD_PARAM_GET, NLM_F_DUMP);
	KUNIT_EXPECT_EQ(test, ask(test, t), 0);
	KUNIT_EXPECT_EQ(test, t->messages, sluice_param_count + sluice_text_param_count);
	KUNIT_EXPECT_STREQ(test, nla_data(t->rows[SLUICE_A_NAME]), "fastopen_key");
	KUNIT_EXPECT_NULL(test, t->rows[SLUICE_A_STRING]);
	KUNIT_EXPECT_EQ(test, nla_get_u8(t->rows[SLUICE_A_SOURCE]), SLUICE_SOURCE_SET);
}

/* ---- live connections --------------------------------------------------------------- */

static struct sluice_diag_id id_of(const struct socket *sock)
{
	const struct sluice_flow_key *key = &sluice_sk(sock->sk)->flow.key;
	struct sluice_diag_id id = { .sport = key->local_port, .dport = key->remote_port };

	memcpy(id.src, &key->local, sizeof(id.src));
	memcpy(id.dst, &key->remote, sizeof(id.dst));
	return id;
}

static void about(struct kunit *test, struct talk *t, const struct sluice_diag_id *id)
{
	begin(test, t, SLUICE_CMD_CONN_SET, 0);
	nla_put(t->request, SLUICE_A_ID, sizeof(*id), id);
}

static void a_live_connection_changes_algorithm_and_buffers(struct kunit *test)
{
	struct talk *t = talk(test);
	struct fixture_pair pair;
	struct sluice_diag_id id;

	fixture_connect(test, &pair, "::1");
	id = id_of(pair.client);
	about(test, t, &id);
	nla_put_string(t->request, SLUICE_A_CC, "reno");
	nla_put_u32(t->request, SLUICE_A_SNDBUF, 50000);
	nla_put_u32(t->request, SLUICE_A_RCVBUF, 60000);
	KUNIT_EXPECT_EQ(test, ask(test, t), 0);
	KUNIT_EXPECT_PTR_EQ(test, sluice_conn_cc(&sluice_sk(pair.client->sk)->conn),
			    &sluice_cc_reno);
	KUNIT_EXPECT_EQ(test, pair.client->sk->sk_sndbuf, 100000);
	KUNIT_EXPECT_EQ(test, pair.client->sk->sk_rcvbuf, 120000);
	KUNIT_EXPECT_PTR_EQ(test, sluice_conn_cc(&sluice_sk(pair.server->sk)->conn),
			    &sluice_cc_cubic);
}

static void a_refused_change_leaves_the_connection_alone(struct kunit *test)
{
	struct talk *t = talk(test);
	struct fixture_pair pair;
	struct sluice_diag_id id;
	int sndbuf;

	fixture_connect(test, &pair, "127.0.0.1");
	id = id_of(pair.client);
	sndbuf = pair.client->sk->sk_sndbuf;
	about(test, t, &id);
	nla_put_string(t->request, SLUICE_A_CC, "nonesuch");
	nla_put_u32(t->request, SLUICE_A_SNDBUF, 50000);
	KUNIT_EXPECT_EQ(test, ask(test, t), -ENOENT);
	KUNIT_EXPECT_STREQ(test, t->why, "no such congestion-control algorithm");
	about(test, t, &id);
	nla_put_u32(t->request, SLUICE_A_SNDBUF, 0);
	KUNIT_EXPECT_EQ(test, ask(test, t), -ERANGE);
	about(test, t, &id);
	KUNIT_EXPECT_EQ(test, ask(test, t), -EINVAL);
	KUNIT_EXPECT_STREQ(test, t->why, "nothing to change is given");
	KUNIT_EXPECT_EQ(test, pair.client->sk->sk_sndbuf, sndbuf);
}

static void connections_that_are_not_there_are_not_found(struct kunit *test)
{
	struct talk *t = talk(test);
	struct sluice_diag_id id = { .sport = htons(1), .dport = htons(2) };
	static const u8 bytes[sizeof(id) + 4];
	int length;

	about(test, t, &id);
	nla_put_string(t->request, SLUICE_A_CC, "reno");
	KUNIT_EXPECT_EQ(test, ask(test, t), -ENOENT);
	KUNIT_EXPECT_STREQ(test, t->why, "no such connection");
	begin(test, t, SLUICE_CMD_CONN_SET, 0);
	nla_put_string(t->request, SLUICE_A_CC, "reno");
	KUNIT_EXPECT_EQ(test, ask(test, t), -EINVAL);
	for (length = 0; length <= (int)sizeof(bytes); length += 4) {
		if (length == sizeof(id))
			continue;
		begin(test, t, SLUICE_CMD_CONN_SET, 0);
		nla_put(t->request, SLUICE_A_ID, length, bytes);
		nla_put_string(t->request, SLUICE_A_CC, "reno");
		KUNIT_EXPECT_LT_MSG(test, ask(test, t), 0, "%d bytes", length);
		KUNIT_EXPECT_NE_MSG(test, t->error, -ENOENT, "%d bytes", length);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(the_version_tells_the_family),
	KUNIT_CASE(each_parameter_is_told_with_its_range),
	KUNIT_CASE(a_dump_has_a_row_for_each),
	KUNIT_CASE(names_are_checked),
	KUNIT_CASE(setting_changes_the_namespace),
	KUNIT_CASE(what_was_set_is_taken_back),
	KUNIT_CASE(a_default_that_contradicts_what_is_set_is_refused),
	KUNIT_CASE(bad_values_are_refused_with_a_reason),
	KUNIT_CASE(values_of_another_size_are_refused),
	KUNIT_CASE(what_no_command_knows_is_refused),
	KUNIT_CASE(without_the_capability_nothing_can_be_set),
	KUNIT_CASE(the_default_algorithm_is_a_parameter_too),
	KUNIT_CASE(a_secret_is_for_the_administrator),
	KUNIT_CASE(a_secret_is_in_no_list),
	KUNIT_CASE(a_live_connection_changes_algorithm_and_buffers),
	KUNIT_CASE(a_refused_change_leaves_the_connection_alone),
	KUNIT_CASE(connections_that_are_not_there_are_not_found),
	{ }
};

static struct kunit_suite suite = {
	.name = "sluice_control",
	.test_cases = cases,
};

kunit_test_suite(suite);
