// SPDX-License-Identifier: GPL-2.0
/* Insertion and removal of the module: one step up the ladder for each part. */
#define pr_fmt(fmt) "sluice: " fmt
#include <linux/module.h>
#include <linux/random.h>
#include <linux/siphash.h>

#include "compat.h"
#include "control.h"
#include "family.h"
#include "listen.h"
#include "memory.h"
#include "net.h"
#include "ports.h"
#include "receive.h"
#include "shown.h"
#include "sock.h"
#include "tcp_limits.h"
#include "time_wait.h"

u32 sluice_host_random(void)
{
	return get_random_u32();
}

u64 sluice_host_keyed_hash(const void *data, size_t length)
{
	static siphash_key_t key __aligned(SIPHASH_ALIGNMENT);

	net_get_random_once(&key, sizeof(key));
	return siphash(data, length, &key);
}

struct step {
	int (*up)(void);
	void (*down)(void);
};

static int protocol_up(void)
{
	return proto_register(&sluice_prot, 1);
}

static void protocol_down(void)
{
	proto_unregister(&sluice_prot);
}

/* From what the others need to what lets users in. */
static const struct step ladder[] = {
	{ sluice_tcp_limits_init, sluice_tcp_limits_exit },
	{ sluice_memory_init, sluice_memory_exit },
	{ sluice_ports_init, sluice_ports_exit },
	{ sluice_demux_init, sluice_demux_exit },
	{ sluice_half_open_cache_init, sluice_half_open_cache_exit },
	{ sluice_time_wait_init, sluice_time_wait_exit },
	{ sluice_net_init, sluice_net_exit },
	{ protocol_up, protocol_down },
	{ sluice_shown_init, sluice_shown_exit },
	{ sluice_offload_init, sluice_offload_exit },
	{ sluice_receive_init, sluice_receive_exit },
	{ sluice_control_init, sluice_control_exit },
	{ sluice_diag_init, sluice_diag_exit },
	{ sluice_inet_init, sluice_inet_exit },
	{ sluice_family_init, sluice_family_exit },
};

static void step_down(unsigned int from)
{
	while (from--)
		ladder[from].down();
}

static int __init sluice_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ladder); i++) {
		int error = ladder[i].up();

		if (error) {
			step_down(i);
			return error;
		}
	}
	pr_info("family %d, IP protocol %d\n", sluice_family, SLUICE_PROTO_STREAM);
	return 0;
}

static void __exit sluice_exit(void)
{
	step_down(ARRAY_SIZE(ladder));
}

module_init(sluice_init);
module_exit(sluice_exit);
MODULE_DESCRIPTION("Sluice, a loadable TCP");
MODULE_LICENSE("GPL");
