/* SPDX-License-Identifier: GPL-2.0 */
/* Generic netlink, by libnl: version, counters, parameters, algorithms, connections. */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsluice.h"

struct sluice_control {
	struct nl_sock *socket;
	int family;
	char message[256];
};

struct wanted {
	sluice_row_fn fn;
	void *data;
};

/* ---- opening ---------------------------------------------------------------------- */

int sluice_control_open(struct sluice_control **out)
{
	struct sluice_control *c = calloc(1, sizeof(*c));
	int on = 1;

	if (!c)
		return -ENOMEM;
	c->socket = nl_socket_alloc();
	if (!c->socket || genl_connect(c->socket)) {
		sluice_control_close(c);
		return -EPROTO;
	}
	c->family = genl_ctrl_resolve(c->socket, SLUICE_GENL_NAME);
	if (c->family < 0) {
		int error = c->family == -NLE_OBJ_NOTFOUND ? -ENOENT : -EPROTO;

		sluice_control_close(c);
		return error;
	}
	setsockopt(nl_socket_get_fd(c->socket), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	*out = c;
	return 0;
}

void sluice_control_close(struct sluice_control *c)
{
	if (!c)
		return;
	if (c->socket)
		nl_socket_free(c->socket);
	free(c);
}

const char *sluice_control_message(const struct sluice_control *c)
{
	return c->message;
}

/* ---- answers -------------------------------------------------------------------- */

static const char *text_of(struct nlattr *attribute)
{
	return attribute ? nla_get_string(attribute) : NULL;
}

static uint64_t number_of(struct nlattr *attribute)
{
	return attribute && nla_len(attribute) == sizeof(uint64_t) ? nla_get_u64(attribute) : 0;
}

static int on_row(struct nl_msg *msg, void *data)
{
	struct nlattr *a[SLUICE_A_MAX + 1];
	struct wanted *w = data;
	struct sluice_row row;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, a, SLUICE_A_MAX, NULL) || !a[SLUICE_A_NAME])
		return NL_SKIP;
	row = (struct sluice_row){
		.name = text_of(a[SLUICE_A_NAME]),
		.string = text_of(a[SLUICE_A_STRING]),
		.unit = text_of(a[SLUICE_A_UNIT]),
		.help = text_of(a[SLUICE_A_HELP]),
		.sysctl = text_of(a[SLUICE_A_SYSCTL]),
		.value = number_of(a[SLUICE_A_VALUE]),
		.min = number_of(a[SLUICE_A_MINIMUM]),
		.max = number_of(a[SLUICE_A_MAXIMUM]),
		.standard = number_of(a[SLUICE_A_DEFAULT]),
		.has_value = a[SLUICE_A_VALUE] != NULL,
		.is_default = a[SLUICE_A_DEFAULT] != NULL,
		.source = a[SLUICE_A_SOURCE] ? nla_get_u8(a[SLUICE_A_SOURCE]) : 0,
	};
	w->fn(&row, w->data);
	return NL_OK;
}

/* The kernel's own words come as an attribute behind the error (NETLINK_EXT_ACK). */
static void keep_message(struct sluice_control *c, const struct nlmsgerr *error)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)error - 1;
	size_t skip = sizeof(*error);
	struct nlattr *a[NLMSGERR_ATTR_MAX + 1];
	int left;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
	left = (int)nlh->nlmsg_len - (int)NLMSG_HDRLEN - (int)skip;
	if (left <= 0 || nla_parse(a, NLMSGERR_ATTR_MAX, (struct nlattr *)((char *)error + skip),
				   left, NULL))
		return;
	if (a[NLMSGERR_ATTR_MSG])
		snprintf(c->message, sizeof(c->message), "%s", nla_get_string(a[NLMSGERR_ATTR_MSG]));
}

struct outcome {
	struct sluice_control *control;
	int error;
	bool done;
};

static int silent_error(struct sockaddr_nl *peer, struct nlmsgerr *error, void *data)
{
	struct outcome *o = data;

	(void)peer;
	o->error = error->error;
	o->done = true;
	keep_message(o->control, error);
	return NL_STOP;
}

static int on_end(struct nl_msg *msg, void *data)
{
	struct outcome *o = data;
	struct nlmsghdr *nlh = nlmsg_hdr(msg);

	if (nlh->nlmsg_type == NLMSG_DONE && nlmsg_datalen(nlh) >= (int)sizeof(int))
		o->error = *(int *)nlmsg_data(nlh);
	o->done = true;
	return NL_STOP;
}

/*
 * Sends msg (and frees it), gives each message of the answer to `handler`,
 * until its ACK or the end of the dump.
 */
static int ask(struct sluice_control *c, struct nl_msg *msg, nl_recvmsg_msg_cb_t handler,
	       void *data)
{
	struct outcome o = { c, 0, false };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int error;

	c->message[0] = '\0';
	if (!cb) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	if (handler)
		nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, handler, data);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, &o);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, &o);
	nl_cb_err(cb, NL_CB_CUSTOM, silent_error, &o);
	error = nl_send_auto(c->socket, msg);
	nlmsg_free(msg);
	while (error >= 0 && !o.done)
		error = nl_recvmsgs(c->socket, cb);
	nl_cb_put(cb);
	return o.done ? o.error : -EIO;
}

static struct nl_msg *request(struct sluice_control *c, uint8_t command, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, c->family, 0, flags, command,
				SLUICE_GENL_VERSION)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int each(struct sluice_control *c, uint8_t command, sluice_row_fn fn, void *data)
{
	struct nl_msg *msg = request(c, command, NLM_F_DUMP);
	struct wanted w = { fn, data };

	return msg ? ask(c, msg, on_row, &w) : -ENOMEM;
}

/* A request about one parameter; NULL: no memory, or a name that no message can hold. */
static struct nl_msg *parameter_request(struct sluice_control *c, uint8_t command,
					const char *name)
{
	struct nl_msg *msg = request(c, command, NLM_F_ACK);

	if (msg && nla_put_string(msg, SLUICE_A_NAME, name)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* Sends msg when all was put into it, else frees it. */
static int send_complete(struct sluice_control *c, struct nl_msg *msg, int put_error)
{
	if (!put_error)
		return ask(c, msg, NULL, NULL);
	nlmsg_free(msg);
	return -EMSGSIZE;
}

/* ---- requests --------------------------------------------------------------------- */

struct version {
	uint16_t family;
	char text[64];
};

static int on_version(struct nl_msg *msg, void *data)
{
	struct nlattr *a[SLUICE_A_MAX + 1];
	struct version *v = data;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, a, SLUICE_A_MAX, NULL))
		return NL_SKIP;
	if (a[SLUICE_A_FAMILY] && nla_len(a[SLUICE_A_FAMILY]) == sizeof(uint32_t))
		v->family = nla_get_u32(a[SLUICE_A_FAMILY]);
	if (a[SLUICE_A_VERSION])
		snprintf(v->text, sizeof(v->text), "%s", nla_get_string(a[SLUICE_A_VERSION]));
	return NL_OK;
}

int sluice_get_version(struct sluice_control *c, uint16_t *family, char *version, size_t size)
{
	struct nl_msg *msg = request(c, SLUICE_CMD_VERSION, NLM_F_ACK);
	struct version v = { 0 };
	int error = msg ? ask(c, msg, on_version, &v) : -ENOMEM;

	if (error)
		return error;
	if (!v.family)
		return -EPROTO;
	*family = v.family;
	snprintf(version, size, "%s", v.text);
	return 0;
}

int sluice_each_counter(struct sluice_control *c, sluice_row_fn fn, void *data)
{
	return each(c, SLUICE_CMD_COUNTERS, fn, data);
}

int sluice_each_parameter(struct sluice_control *c, sluice_row_fn fn, void *data)
{
	return each(c, SLUICE_CMD_PARAM_GET, fn, data);
}

int sluice_each_cc(struct sluice_control *c, sluice_row_fn fn, void *data)
{
	return each(c, SLUICE_CMD_CC_LIST, fn, data);
}

int sluice_get_parameter(struct sluice_control *c, const char *name, sluice_row_fn fn, void *data)
{
	struct nl_msg *msg = parameter_request(c, SLUICE_CMD_PARAM_GET, name);
	struct wanted w = { fn, data };

	return msg ? ask(c, msg, on_row, &w) : -EMSGSIZE;
}

int sluice_set_parameter(struct sluice_control *c, const char *name, uint64_t value)
{
	struct nl_msg *msg = parameter_request(c, SLUICE_CMD_PARAM_SET, name);

	return msg ? send_complete(c, msg, nla_put_u64(msg, SLUICE_A_VALUE, value)) : -EMSGSIZE;
}

int sluice_set_parameter_string(struct sluice_control *c, const char *name, const char *value)
{
	struct nl_msg *msg = parameter_request(c, SLUICE_CMD_PARAM_SET, name);

	return msg ? send_complete(c, msg, nla_put_string(msg, SLUICE_A_STRING, value))
		   : -EMSGSIZE;
}

int sluice_reset_parameter(struct sluice_control *c, const char *name)
{
	struct nl_msg *msg = parameter_request(c, SLUICE_CMD_PARAM_RESET, name);

	return msg ? ask(c, msg, NULL, NULL) : -EMSGSIZE;
}

int sluice_set_connection(struct sluice_control *c, const struct sluice_diag_id *id,
			  const char *cc, uint32_t sndbuf, uint32_t rcvbuf)
{
	struct nl_msg *msg = request(c, SLUICE_CMD_CONN_SET, NLM_F_ACK);
	int error;

	if (!msg)
		return -ENOMEM;
	error = nla_put(msg, SLUICE_A_ID, sizeof(*id), id);
	if (cc)
		error |= nla_put_string(msg, SLUICE_A_CC, cc);
	if (sndbuf)
		error |= nla_put_u32(msg, SLUICE_A_SNDBUF, sndbuf);
	if (rcvbuf)
		error |= nla_put_u32(msg, SLUICE_A_RCVBUF, rcvbuf);
	return send_complete(c, msg, error);
}
