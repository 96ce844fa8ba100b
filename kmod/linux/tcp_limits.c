// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel TCP's limits of the whole machine, which have no symbol that modules
 * may use: tcp_mem is where the protocol of each of its sockets points,
 * tcp_max_orphans is read from its file, on a mount of procfs that nobody sees.
 */
#define pr_fmt(fmt) "sluice: " fmt
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/net.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "tcp_limits.h"

#define ORPHANS_FILE "sys/net/ipv4/tcp_max_orphans"

/* ---- tcp_mem -------------------------------------------------------------------- */

const long *sluice_tcp_mem(void)
{
	struct socket *sock;
	const long *limits;

	if (sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &sock))
		return NULL;
	limits = sock->sk->sk_prot->sysctl_mem;	/* the kernel's own: it outlives the socket */
	sock_release(sock);
	return limits;
}

/* ---- tcp_max_orphans --------------------------------------------------------------- */

static struct vfsmount *proc;
static struct file *orphans_file;	/* NULL: nothing tells */
static unsigned long looked;		/* jiffies */
static long orphans = SLUICE_NO_ORPHANS_LIMIT;

static long read_orphans(void)
{
	char text[24] = "";
	loff_t at = 0;
	long value;

	if (kernel_read(orphans_file, text, sizeof(text) - 1, &at) <= 0 ||
	    kstrtol(strim(text), 10, &value))
		return READ_ONCE(orphans);
	return value;
}

void sluice_tcp_max_orphans_look(void)
{
	if (!orphans_file || READ_ONCE(looked) == jiffies)
		return;
	WRITE_ONCE(looked, jiffies);
	WRITE_ONCE(orphans, read_orphans());
}

long sluice_tcp_max_orphans(void)
{
	return READ_ONCE(orphans);
}

static int open_orphans(void)
{
	struct file_system_type *type = get_fs_type("proc");
	struct path root;

	if (!type)
		return -ENODEV;
	proc = kern_mount(type);
	module_put(type->owner);
	if (IS_ERR(proc))
		return PTR_ERR(proc);
	root.mnt = proc;
	root.dentry = proc->mnt_root;
	orphans_file = file_open_root(&root, ORPHANS_FILE, O_RDONLY, 0);
	return PTR_ERR_OR_ZERO(orphans_file);
}

/* The module works without, by its own default. */
int sluice_tcp_limits_init(void)
{
	int error = open_orphans();

	if (error) {
		pr_notice("tcp_max_orphans can't be read (error %d): max_orphans doesn't follow it\n",
			  error);
		orphans_file = NULL;
	}
	looked = jiffies - 1;
	sluice_tcp_max_orphans_look();
	return 0;
}

void sluice_tcp_limits_exit(void)
{
	if (orphans_file)
		fput(orphans_file);
	if (!IS_ERR_OR_NULL(proc))
		kern_unmount(proc);
}
