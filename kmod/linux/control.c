// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family "sluice": counters, the parameters of a
 * namespace, the list of congestion-control algorithms, and changes to live
 * connections. Everything acts on the namespace of the sender's socket.
 */
#include <linux/module.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "cc_registry.h"
#include "compat.h"
#include "control.h"
#include "params.h"
#include "sluice.h"
#include "sock.h"
#include "text_params.h"

#define NAME_MAX_LENGTH 64
#define TEXT_MAX_LENGTH 255	/* more than any value has: its parameter says what it wants */

static struct genl_family control_family;

static const struct nla_policy name_policy[SLUICE_A_MAX + 1] = {
	[SLUICE_A_NAME] = { .type = NLA_NUL_STRING, .len = NAME_MAX_LENGTH },
};

static const struct nla_policy set_policy[SLUICE_A_MAX + 1] = {
	[SLUICE_A_NAME] = { .type = NLA_NUL_STRING, .len = NAME_MAX_LENGTH },
	[SLUICE_A_VALUE] = { .type = NLA_U64 },
	[SLUICE_A_STRING] = { .type = NLA_NUL_STRING, .len = TEXT_MAX_LENGTH },
};

static const struct nla_policy connection_policy[SLUICE_A_MAX + 1] = {
	[SLUICE_A_ID] = NLA_POLICY_EXACT_LEN(sizeof(struct sluice_diag_id)),
	[SLUICE_A_CC] = { .type = NLA_NUL_STRING, .len = SLUICE_CC_NAME_MAX - 1 },
	[SLUICE_A_SNDBUF] = NLA_POLICY_MIN(NLA_U32, 1),
	[SLUICE_A_RCVBUF] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* ---- answers --------------------------------------------------------------- */

static int put_u64(struct sk_buff *skb, int attribute, u64 value)
{
	return nla_put_u64_64bit(skb, attribute, value, SLUICE_A_PAD);
}

/* A message of one command; fill() returns non-zero when there is no room. */
static int put_message(struct sk_buff *skb, u32 portid, u32 seq, int flags, u8 command,
		       int (*fill)(struct sk_buff *skb, struct sluice_net *sn, long index),
		       struct sluice_net *sn, long index)
{
	void *header = genlmsg_put(skb, portid, seq, &control_family, flags, command);

	if (!header)
		return -EMSGSIZE;
	if (fill(skb, sn, index)) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return 0;
}

static int reply(struct genl_info *info, u8 command,
		 int (*fill)(struct sk_buff *skb, struct sluice_net *sn, long index), long index)
{
	struct sluice_net *sn = sluice_net(genl_info_net(info));
	struct sk_buff *skb = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	int error;

	if (!skb)
		return -ENOMEM;
	error = put_message(skb, info->snd_portid, info->snd_seq, 0, command, fill, sn, index);
	if (error) {
		nlmsg_free(skb);
		return error;
	}
	return genlmsg_reply(skb, info);
}

/* Rows cb->args[0] .. count-1; those that don't fit come in the next call. */
static int dump(struct sk_buff *skb, struct netlink_callback *cb, u8 command, long count,
		int (*fill)(struct sk_buff *skb, struct sluice_net *sn, long index))
{
	struct sluice_net *sn = sluice_net(sock_net(cb->skb->sk));

	while (cb->args[0] < count) {
		if (put_message(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, NLM_F_MULTI,
				command, fill, sn, cb->args[0]))
			break;
		cb->args[0]++;
	}
	return skb->len;
}

/* ---- version ---------------------------------------------------------------- */

static int fill_version(struct sk_buff *skb, struct sluice_net *sn, long index)
{
	return nla_put_string(skb, SLUICE_A_VERSION, THIS_MODULE->version ?: "") ||
	       nla_put_u32(skb, SLUICE_A_FAMILY, sluice_family);
}

static int get_version(struct sk_buff *skb, struct genl_info *info)
{
	return reply(info, SLUICE_CMD_VERSION, fill_version, 0);
}

/* ---- counters ---------------------------------------------------------------- */

static const struct {
	const char *name, *help;
} counter_rows[SLUICE_CNT_MAX] = {
#define SLUICE_COUNTER(name, help) [SLUICE_CNT_##name] = { #name, help },
#include "counters.def"
#undef SLUICE_COUNTER
};

static u64 counter_sum(const struct sluice_net *sn, unsigned int which)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(sn->counters, cpu)->value[which]);
	return sum;
}

static int fill_counter(struct sk_buff *skb, struct sluice_net *sn, long index)
{
	return nla_put_string(skb, SLUICE_A_NAME, counter_rows[index].name) ||
	       put_u64(skb, SLUICE_A_VALUE, counter_sum(sn, index)) ||
	       nla_put_string(skb, SLUICE_A_HELP, counter_rows[index].help);
}

static int dump_counters(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump(skb, cb, SLUICE_CMD_COUNTERS, SLUICE_CNT_MAX, fill_counter);
}

/* ---- parameters -------------------------------------------------------------- */

static int put_text(struct sk_buff *skb, struct sluice_net *sn,
		    const struct sluice_text_param *p)
{
	char text[SLUICE_TEXT_PARAM_MAX];
	int error;

	p->read(sn, text);
	error = nla_put_string(skb, SLUICE_A_STRING, text);
	memzero_explicit(text, sizeof(text));
	return error;
}

static int fill_text_param(struct sk_buff *skb, struct sluice_net *sn,
			   const struct sluice_text_param *p, bool secrets)
{
	return nla_put_string(skb, SLUICE_A_NAME, p->name) ||
	       ((!p->secret || secrets) && put_text(skb, sn, p)) ||
	       nla_put_u8(skb, SLUICE_A_SOURCE, p->source(sn)) ||
	       nla_put_string(skb, SLUICE_A_SYSCTL, p->sysctl) ||
	       nla_put_string(skb, SLUICE_A_HELP, p->help);
}

/* The rows after the numbers are those of texts. */
static const struct sluice_text_param *text_at(long index)
{
	return index < sluice_param_count ? NULL : &sluice_text_params[index - sluice_param_count];
}

static int fill_number(struct sk_buff *skb, struct sluice_net *sn, long index)
{
	const struct sluice_param *p = &sluice_params[index];
	const char *sysctl = sluice_param_sysctl(p);

	return nla_put_string(skb, SLUICE_A_NAME, p->name) ||
	       put_u64(skb, SLUICE_A_VALUE, sluice_param_read(sn, p)) ||
	       put_u64(skb, SLUICE_A_MINIMUM, p->min) ||
	       put_u64(skb, SLUICE_A_MAXIMUM, p->max) ||
	       put_u64(skb, SLUICE_A_DEFAULT, sluice_param_standard(sn, p)) ||
	       nla_put_u8(skb, SLUICE_A_SOURCE, sluice_param_source(sn, p)) ||
	       (sysctl && nla_put_string(skb, SLUICE_A_SYSCTL, sysctl)) ||
	       nla_put_string(skb, SLUICE_A_UNIT, p->unit) ||
	       nla_put_string(skb, SLUICE_A_HELP, p->help);
}

static int fill_param(struct sk_buff *skb, struct sluice_net *sn, long index)
{
	const struct sluice_text_param *text = text_at(index);

	return text ? fill_text_param(skb, sn, text, true) : fill_number(skb, sn, index);
}

/* Among all the others, a secret is told by its row alone. */
static int fill_listed_param(struct sk_buff *skb, struct sluice_net *sn, long index)
{
	const struct sluice_text_param *text = text_at(index);

	return text ? fill_text_param(skb, sn, text, false) : fill_number(skb, sn, index);
}

static int dump_params(struct sk_buff *skb, struct netlink_callback *cb)
{
	return dump(skb, cb, SLUICE_CMD_PARAM_GET,
		    sluice_param_count + sluice_text_param_count, fill_listed_param);
}

static const char *wanted_name(struct genl_info *info)
{
	if (!info->attrs[SLUICE_A_NAME]) {
		GENL_SET_ERR_MSG(info, "the name of a parameter is missing");
		return NULL;
	}
	return nla_data(info->attrs[SLUICE_A_NAME]);
}

static const struct sluice_param *wanted_param(struct genl_info *info, const char *name)
{
	const struct sluice_param *p = sluice_param_find(name);

	if (!p)
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[SLUICE_A_NAME],
				    "no such parameter");
	return p;
}

/* As the file of tcp_fastopen_key is. */
static bool may_read_secrets(const struct sk_buff *request, struct genl_info *info)
{
	return netlink_ns_capable(request, genl_info_net(info)->user_ns, CAP_NET_ADMIN);
}

static int get_param(struct sk_buff *skb, struct genl_info *info)
{
	const char *name = wanted_name(info);
	const struct sluice_text_param *text;
	const struct sluice_param *p;

	if (!name)
		return -EINVAL;
	text = sluice_text_param_find(name);
	if (text && text->secret && !may_read_secrets(skb, info))
		return -EPERM;
	if (text)
		return reply(info, SLUICE_CMD_PARAM_GET, fill_param,
			     sluice_param_count + (text - sluice_text_params));
	p = wanted_param(info, name);
	return p ? reply(info, SLUICE_CMD_PARAM_GET, fill_param, p - sluice_params) : -ENOENT;
}

/* NL_SET_ERR_MSG_ATTR() for words that are chosen at run time; `why` lives on. */
static void refuse(struct genl_info *info, const struct nlattr *attribute, const char *why)
{
	NL_SET_BAD_ATTR(info->extack, attribute);
	if (info->extack)
		info->extack->_msg = why;
}

static int set_text_param(struct genl_info *info, const struct sluice_text_param *p)
{
	struct nlattr *text = info->attrs[SLUICE_A_STRING];
	const char *why;
	int error;

	if (!text) {
		GENL_SET_ERR_MSG(info, "a text is wanted");
		return -EINVAL;
	}
	error = p->write(sluice_net(genl_info_net(info)), nla_data(text), &why);
	if (error)
		refuse(info, text, why);
	return error;
}

static int set_param(struct sk_buff *skb, struct genl_info *info)
{
	struct sluice_net *sn = sluice_net(genl_info_net(info));
	struct nlattr *value = info->attrs[SLUICE_A_VALUE];
	const char *name = wanted_name(info);
	const struct sluice_text_param *text;
	const struct sluice_param *p;
	const char *why;
	int error;

	if (!name)
		return -EINVAL;
	text = sluice_text_param_find(name);
	if (text)
		return set_text_param(info, text);
	p = wanted_param(info, name);
	if (!p)
		return -ENOENT;
	if (!value) {
		GENL_SET_ERR_MSG(info, "a number is wanted");
		return -EINVAL;
	}
	error = sluice_param_write(sn, p, nla_get_u64(value), &why);
	if (error)
		refuse(info, value, why);
	return error;
}

static int reset_param(struct sk_buff *skb, struct genl_info *info)
{
	struct sluice_net *sn = sluice_net(genl_info_net(info));
	const char *name = wanted_name(info);
	const struct sluice_text_param *text;
	const struct sluice_param *p;
	const char *why;
	int error;

	if (!name)
		return -EINVAL;
	text = sluice_text_param_find(name);
	p = text ? NULL : wanted_param(info, name);
	if (!text && !p)
		return -ENOENT;
	error = text ? text->reset(sn, &why) : sluice_param_reset(sn, p, &why);
	if (error)
		refuse(info, info->attrs[SLUICE_A_NAME], why);
	return error;
}

/* ---- algorithms --------------------------------------------------------------- */

static int fill_cc(struct sk_buff *skb, struct sluice_net *sn, long index)
{
	const struct sluice_cc_ops *ops = sluice_cc_get_default(sn);
	char name[SLUICE_CC_NAME_MAX];
	bool standard;

	if (!sluice_cc_name(index, name)) {
		sluice_cc_put(ops);
		return 0;
	}
	standard = !strcmp(ops->name, name);
	sluice_cc_put(ops);
	return nla_put_string(skb, SLUICE_A_NAME, name) ||
	       (standard && nla_put_flag(skb, SLUICE_A_DEFAULT));
}

static int dump_cc(struct sk_buff *skb, struct netlink_callback *cb)
{
	char name[SLUICE_CC_NAME_MAX];
	long count = 0;

	while (sluice_cc_name(count, name))
		count++;
	return dump(skb, cb, SLUICE_CMD_CC_LIST, count, fill_cc);
}

/* ---- live connections ----------------------------------------------------------- */

/*
 * As SO_SNDBUF and SO_RCVBUF have it, or their FORCE forms: beyond the sysctls only
 * for who has CAP_NET_ADMIN over more than this namespace.
 */
static u32 buffer_size(struct sk_buff *skb, const struct nlattr *wanted, u32 most)
{
	if (netlink_capable(skb, CAP_NET_ADMIN))
		most = INT_MAX / 2;
	return min(nla_get_u32(wanted), most);
}

static void set_buffers(struct sock *sk, struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *sndbuf = info->attrs[SLUICE_A_SNDBUF];
	struct nlattr *rcvbuf = info->attrs[SLUICE_A_RCVBUF];

	if (sndbuf) {
		u32 size = buffer_size(skb, sndbuf, READ_ONCE(sysctl_wmem_max));

		sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
		WRITE_ONCE(sk->sk_sndbuf, max_t(int, size * 2, SOCK_MIN_SNDBUF));
		sk->sk_write_space(sk);
	}
	if (rcvbuf) {
		u32 size = buffer_size(skb, rcvbuf, READ_ONCE(sysctl_rmem_max));

		sk->sk_userlocks |= SOCK_RCVBUF_LOCK;
		WRITE_ONCE(sk->sk_rcvbuf, max_t(int, size * 2, SOCK_MIN_RCVBUF));
	}
}

/* The socket lock is held; takes over the caller's hold on ops. */
static void switch_cc(struct sock *sk, const struct sluice_cc_ops *ops)
{
	struct sluice_conn *c = &sluice_sk(sk)->conn;
	const struct sluice_cc_ops *old = sluice_conn_cc(c);

	sluice_conn_set_cc(c, ops, sluice_now());
	sluice_cc_put(old);
}

/* The algorithm that is asked for with a reference; *error says why it is NULL. */
static const struct sluice_cc_ops *wanted_cc(struct genl_info *info, int *error)
{
	struct nlattr *cc = info->attrs[SLUICE_A_CC];
	const struct sluice_cc_ops *ops;

	*error = 0;
	if (!cc)
		return NULL;
	ops = sluice_cc_get_or_load(nla_data(cc));
	if (!ops) {
		NL_SET_ERR_MSG_ATTR(info->extack, cc, "no such congestion-control algorithm");
		*error = -ENOENT;
	}
	return ops;
}

/* The socket with a reference; NULL after saying what is wrong. */
static struct sock *wanted_connection(struct genl_info *info, int *error)
{
	struct nlattr *id = info->attrs[SLUICE_A_ID];
	struct sock *sk;

	*error = -EINVAL;
	if (!id) {
		GENL_SET_ERR_MSG(info, "the addresses of a connection are missing");
		return NULL;
	}
	if (!info->attrs[SLUICE_A_CC] && !info->attrs[SLUICE_A_SNDBUF] &&
	    !info->attrs[SLUICE_A_RCVBUF]) {
		GENL_SET_ERR_MSG(info, "nothing to change is given");
		return NULL;
	}
	*error = -ENOENT;
	sk = sluice_diag_find(genl_info_net(info), nla_data(id));
	if (!sk)
		NL_SET_ERR_MSG_ATTR(info->extack, id, "no such connection");
	return sk;
}

/* The socket lock is held; takes over the caller's hold on ops, which may be NULL. */
static int change(struct sock *sk, const struct sluice_cc_ops *ops, struct sk_buff *skb,
		  struct genl_info *info)
{
	if (sluice_sk(sk)->destroyed) {	/* since it was found */
		sluice_cc_put(ops);
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[SLUICE_A_ID], "no such connection");
		return -ENOENT;
	}
	if (ops)
		switch_cc(sk, ops);
	set_buffers(sk, skb, info);
	return 0;
}

static int set_connection(struct sk_buff *skb, struct genl_info *info)
{
	const struct sluice_cc_ops *ops;
	struct sock *sk;
	int error;

	sk = wanted_connection(info, &error);
	if (!sk)
		return error;
	ops = wanted_cc(info, &error);
	if (!error) {
		lock_sock(sk);
		error = change(sk, ops, skb, info);
		release_sock(sk);
	}
	sock_put(sk);
	return error;
}

/* ---- the family ------------------------------------------------------------------- */

static const struct genl_ops operations[] = {
	{ .cmd = SLUICE_CMD_VERSION, .doit = get_version,
	  .policy = name_policy, .maxattr = SLUICE_A_MAX },
	{ .cmd = SLUICE_CMD_COUNTERS, .dumpit = dump_counters,
	  .policy = name_policy, .maxattr = SLUICE_A_MAX },
	{ .cmd = SLUICE_CMD_PARAM_GET, .doit = get_param, .dumpit = dump_params,
	  .policy = name_policy, .maxattr = SLUICE_A_MAX },
	{ .cmd = SLUICE_CMD_PARAM_SET, .doit = set_param, .flags = GENL_UNS_ADMIN_PERM,
	  .policy = set_policy, .maxattr = SLUICE_A_MAX },
	{ .cmd = SLUICE_CMD_CC_LIST, .dumpit = dump_cc,
	  .policy = name_policy, .maxattr = SLUICE_A_MAX },
	{ .cmd = SLUICE_CMD_CONN_SET, .doit = set_connection, .flags = GENL_UNS_ADMIN_PERM,
	  .policy = connection_policy, .maxattr = SLUICE_A_MAX },
	{ .cmd = SLUICE_CMD_PARAM_RESET, .doit = reset_param, .flags = GENL_UNS_ADMIN_PERM,
	  .policy = name_policy, .maxattr = SLUICE_A_MAX },
};

static struct genl_family control_family __ro_after_init = {
	.name = SLUICE_GENL_NAME,
	.version = SLUICE_GENL_VERSION,
	.maxattr = SLUICE_A_MAX,
	.netnsok = true,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = operations,
	.n_ops = ARRAY_SIZE(operations),
};

int __init sluice_control_init(void)
{
	return genl_register_family(&control_family);
}

void sluice_control_exit(void)
{
	genl_unregister_family(&control_family);
}

MODULE_ALIAS_GENL_FAMILY(SLUICE_GENL_NAME);
