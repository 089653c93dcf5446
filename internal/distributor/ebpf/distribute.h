/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The distributor's forwarding (docs/ARCHITECTURE.md, the way of a packet). No state per connection: the cost of a packet does not depend on how many
 * connections there are. decide() knows nothing of sk_buff; distribute() is its side for TCX and filters, and XDP will be another.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <linux/if_packet.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "parse.h"
#include "probe.h"
#include "siphash.h"

#define MAX_ROWS 16384
#define MAX_TARGETS 64
#define MAX_VIPS 8
#define MEMBER_SLOT_BITS 10

/* One whole table; type table in Go is the same. It is replaced by switching the outer map to another inner one, so no packet sees a mixture. */
struct table {
	struct siphash_key key;
	__u32 row_mask;
	__u32 port_counts; /* the source port takes part in the row function */
	__u64 member_salt;
	__u64 targets[MAX_TARGETS]; /* MACs; 0: nobody */
	/* Every amphora's MAC in slot (mac * member_salt) >> (64 - MEMBER_SLOT_BITS); the salt is such that none collide. */
	__u64 members[1 << MEMBER_SLOT_BITS];
	__u8 rows[MAX_ROWS]; /* index into targets; MAX_TARGETS and more: nobody */
};

struct table_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct table)); /* clang 14 gives the types of an inner map no size in BTF */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct table_map);
} table_now SEC(".maps");

struct port {
	__be32 vips[MAX_VIPS]; /* unused ones repeat the first */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct port);
} port_config SEC(".maps");

/* What became of a frame; all but the first two are drops. */
enum outcome {
	OUTCOME_FORWARDED,
	OUTCOME_KERNEL, /* ARP, echo, probes */
	OUTCOME_FOREIGN_MAC, /* not addressed to this port */
	OUTCOME_AMPHORA, /* sent by an own amphora, and no probe */
	OUTCOME_ETHERTYPE,
	OUTCOME_TRUNCATED,
	OUTCOME_MALFORMED,
	OUTCOME_FOREIGN_ADDRESS, /* not to a VIP */
	OUTCOME_PROTOCOL, /* neither TCP, UDP nor ICMP */
	OUTCOME_ICMP, /* neither an echo nor an error about a connection of the VIP */
	OUTCOME_NO_OWNER,
	OUTCOME_COUNT,
};

struct count {
	__u64 packets, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOME_COUNT);
	__type(key, enum outcome);
	__type(value, struct count);
} counters SEC(".maps");

static __always_inline int is_vip(const struct port *port, __be32 addr)
{
#pragma unroll
	for (int i = 0; i < MAX_VIPS; i++)
		if (port->vips[i] == addr)
			return 1;
	return 0;
}

/* own: the frame is addressed to this port's MAC. *target is the MAC to forward to. */
static __always_inline enum outcome decide(void *data, void *end, int own, __u64 *target)
{
	struct ethhdr *eth = data;
	struct packet p;
	struct table *table = 0;
	struct port *port;
	void *inner;
	__u32 zero = 0, row, to;
	__u64 source;

	if ((void *)(eth + 1) > end)
		return OUTCOME_TRUNCATED;
	if (eth->h_proto == bpf_htons(PROBE_ETHERTYPE))
		return own ? OUTCOME_KERNEL : OUTCOME_FOREIGN_MAC;

	inner = bpf_map_lookup_elem(&table_now, &zero);
	if (inner)
		table = bpf_map_lookup_elem(inner, &zero);
	source = mac_load(eth->h_source);
	if (table && table->members[(source * table->member_salt) >> (64 - MEMBER_SLOT_BITS)] == source)
		return OUTCOME_AMPHORA;
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return OUTCOME_KERNEL; /* questions are broadcast */
	if (!own)
		return OUTCOME_FOREIGN_MAC;
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return OUTCOME_ETHERTYPE;

	switch (parse_ipv4(eth + 1, end, &p)) {
	case PARSE_TRUNCATED:
		return OUTCOME_TRUNCATED;
	case PARSE_MALFORMED:
		return OUTCOME_MALFORMED;
	case PARSE_PROTOCOL:
		return OUTCOME_PROTOCOL;
	case PARSE_ICMP_OTHER:
		return OUTCOME_ICMP;
	case PARSE_ICMP_ECHO:
	case PARSE_OK:
		break;
	}
	port = bpf_map_lookup_elem(&port_config, &zero);
	if (!port || !is_vip(port, p.ip->daddr))
		return OUTCOME_FOREIGN_ADDRESS;
	if (p.protocol == IPPROTO_ICMP)
		return OUTCOME_KERNEL;
	if (p.quoted && p.vip != p.ip->daddr)
		return OUTCOME_ICMP;
	if (!table)
		return OUTCOME_NO_OWNER;
	row = row_hash_v4(&table->key, p.client, table->port_counts ? p.client_port : 0) & table->row_mask;
	to = table->rows[row & (MAX_ROWS - 1)];
	if (to >= MAX_TARGETS || !table->targets[to])
		return OUTCOME_NO_OWNER;
	*target = table->targets[to];
	return OUTCOME_FORWARDED;
}

static __always_inline int distribute(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	int own = skb->pkt_type == PACKET_HOST;
	struct count *count;
	struct ethhdr *eth;
	enum outcome what;
	__u64 target = 0;

	what = decide(data, end, own, &target);
	if (unlikely(what == OUTCOME_TRUNCATED) && end - data < skb->len) {
		/* The headers are not all in the linear part. */
		if (!bpf_skb_pull_data(skb, skb->len < PARSE_MAX ? skb->len : PARSE_MAX)) {
			data = (void *)(long)skb->data;
			end = (void *)(long)skb->data_end;
			what = decide(data, end, own, &target);
		}
	}
	count = bpf_map_lookup_elem(&counters, &what);
	if (count) {
		count->packets++;
		count->bytes += skb->len;
	}
	if (what == OUTCOME_KERNEL)
		return TC_ACT_OK;
	if (what != OUTCOME_FORWARDED)
		return TC_ACT_SHOT;
	/* Read again: the verifier does not see that pulling and forwarding exclude stale pointers. */
	eth = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if ((void *)(eth + 1) > end)
		return TC_ACT_SHOT;
	/* The frame was addressed to this port, so its destination is the port's own MAC. Leaving the client's as source
	 * would make the bridge learn the client here. */
	mac_store(eth->h_source, mac_load(eth->h_dest));
	mac_store(eth->h_dest, target);
	return bpf_redirect(skb->ifindex, 0);
}
