//go:build ignore
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An amphora's front-end port (docs/ARCHITECTURE.md, second chance and probes). Frames that reach this port by a row the amphora
 * does not own any more, or not yet, go on to who may have their connection; probes are answered from the liveness cell.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <linux/if_packet.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "parse.h"
#include "probe.h"
#include "siphash.h"

#define MAX_ROWS 16384
#define MAX_HOLDERS 64
#define MAX_OWNERS 5
#define MAX_VIPS 8
#define FRESH_NS 1000000000ULL

#define TCP_LISTEN 10 /* enum in the kernel's include/net/tcp_states.h */

/* One whole table, switched like the distributor's; type table in Go is the same. */
struct table {
	struct siphash_key key;
	__u32 row_mask;
	__u32 port_counts;
	__u64 macs[MAX_HOLDERS];
	/* An owner list each. Bytes 0…4, lowest first, are indexes into macs, anything beyond the list's end; byte 5 is the
	 * list's length, byte 6 the place of this amphora's own MAC in it, 0 when it is not there. */
	__u64 rows[MAX_ROWS];
};

static __always_inline __u32 list_byte(__u64 list, __u32 i)
{
	return (list >> (8 * i)) & 0xff;
}

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
	__u64 probe_k0, probe_k1;
	__u64 lb_tag;
	__be32 vips[MAX_VIPS]; /* unused ones repeat the first */
	__u32 second_chance;
	__u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct port);
} port_config SEC(".maps");

/* One bit a port number. */
struct listeners {
	__u64 tcp[1024];
	__u64 udp[1024];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct listeners);
} listener_ports SEC(".maps");

/* When the agent last knew that HAProxy serves (CLOCK_MONOTONIC, ns); 0: it knows that HAProxy does not. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} liveness SEC(".maps");

/* What became of a frame to a VIP, or of a probe. */
enum event {
	EVENT_TAKEN, /* own connection, or a SYN for an own listener */
	EVENT_PASSED,
	EVENT_ANSWERED_LAST, /* nobody right of us: the kernel answers */
	EVENT_SYN_PASSED, /* no listener here */
	EVENT_ICMP_PASSED,
	EVENT_HOPS, /* would go further right, but went far enough: the kernel answers */
	EVENT_FRAGMENT, /* shows no connection; taken */
	EVENT_UDP, /* taken */
	EVENT_NOT_OURS, /* to a VIP, but to no listener's port */
	EVENT_NO_TABLE, /* taken */
	EVENT_SWITCHED_OFF, /* not owned and taken, because second chance is off */
	EVENT_PROBE_ANSWERED,
	EVENT_PROBE_STALE, /* the cell is: no answer */
	EVENT_PROBE_BAD, /* signature, layout or load balancer */
	EVENT_COUNT,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_COUNT);
	__type(key, enum event);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(enum event what)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &what);

	if (n)
		(*n)++;
}

static __always_inline int is_vip(const struct port *port, __be32 addr)
{
#pragma unroll
	for (int i = 0; i < MAX_VIPS; i++)
		if (port->vips[i] == addr)
			return 1;
	return 0;
}

/* Answers a probe while the cell is fresh; says nothing otherwise, so that silence is what the distributor sees. */
static __always_inline int answer_probe(struct __sk_buff *skb, const struct port *port)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct siphash_key key = { port->probe_k0, port->probe_k1 };
	struct ethhdr *eth = data;
	struct probe *probe = (void *)(eth + 1);
	__u64 words[4], *stamp, asker, now;
	__u32 zero = 0;

	if ((void *)(probe + 1) > end)
		goto bad;
	if (probe->magic != bpf_htonl(PROBE_MAGIC) || probe->version != PROBE_VERSION || probe->type != PROBE_ASK ||
	    probe->reserved || probe->tag != bpf_cpu_to_be64(port->lb_tag))
		goto bad;
	__builtin_memcpy(words, probe, sizeof(words));
	if (probe->signature != bpf_cpu_to_be64(siphash24_32(&key, words)))
		goto bad;
	stamp = bpf_map_lookup_elem(&liveness, &zero);
	now = bpf_ktime_get_ns();
	if (!stamp || !*stamp || now - *stamp > FRESH_NS) {
		count(EVENT_PROBE_STALE);
		return TC_ACT_SHOT;
	}
	probe->type = PROBE_ANSWER;
	__builtin_memcpy(words, probe, sizeof(words));
	probe->signature = bpf_cpu_to_be64(siphash24_32(&key, words));
	asker = mac_load(eth->h_source);
	mac_store(eth->h_source, mac_load(eth->h_dest));
	mac_store(eth->h_dest, asker);
	count(EVENT_PROBE_ANSWERED);
	return bpf_redirect(skb->ifindex, 0);
bad:
	count(EVENT_PROBE_BAD);
	return TC_ACT_SHOT;
}

/*
 * Owns: the socket look-up finds any state but LISTEN; or LISTEN, and the segment opens a connection or carries a
 * cookie this kernel gave. A plain "finds a socket" would always be true where there is a listener.
 */
static __always_inline int owns(struct __sk_buff *skb, const struct packet *p, int *syn)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	int own = 1;

	*syn = !p->quoted && p->tcp->syn && !p->tcp->ack && !p->tcp->rst;
	tuple.ipv4.saddr = p->client;
	tuple.ipv4.daddr = p->vip;
	tuple.ipv4.sport = p->client_port;
	tuple.ipv4.dport = p->vip_port;
	sk = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	if (sk->state == TCP_LISTEN && !*syn)
		own = !p->quoted && bpf_tcp_check_syncookie(sk, p->ip, sizeof(*p->ip), p->tcp, sizeof(*p->tcp)) == 0;
	bpf_sk_release(sk);
	return own;
}

/*
 * Passes the frame to the entry right of us and of the sender. With one table everywhere, hops to the right end by
 * themselves; under a mixture of tables they may go round, so the IP lifetime counts them: the first pass cuts it to
 * the list's length less one, each further pass takes one away, and at one it ends. With the distributor's own frame
 * the packet is then on the wire as often as the list is long, and with one table no walk is cut short.
 */
static __always_inline int pass(struct __sk_buff *skb, const struct packet *p, const struct table *table,
				enum event passed)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 row = row_hash_v4(&table->key, p->client, table->port_counts ? p->client_port : 0) & table->row_mask;
	__u64 list = table->rows[row & (MAX_ROWS - 1)];
	__u32 at = list_byte(list, 6), sender = 0, to, lifetime, sum;
	__u64 source, target;

	if ((void *)(ip + 1) > end)
		return TC_ACT_OK;
	source = mac_load(eth->h_source);
#pragma unroll
	for (int i = 0; i < MAX_OWNERS; i++)
		if (i < list_byte(list, 5) && table->macs[list_byte(list, i) & (MAX_HOLDERS - 1)] == source)
			sender = i;
	to = (at > sender ? at : sender) + 1; /* the distributor is on no list: at alone counts, sender is 0 */
	if (to >= list_byte(list, 5)) {
		count(EVENT_ANSWERED_LAST);
		return TC_ACT_OK;
	}
	target = table->macs[list_byte(list, to) & (MAX_HOLDERS - 1)];
	lifetime = ip->ttl < list_byte(list, 5) ? ip->ttl : list_byte(list, 5);
	if (lifetime < 2) {
		count(EVENT_HOPS);
		return TC_ACT_OK;
	}
	/* RFC 1624: the checksum follows the 16-bit word of lifetime and protocol. */
	sum = (__u16)~ip->check;
	sum += (__u16)~*(__u16 *)&ip->ttl;
	ip->ttl = lifetime - 1;
	sum += *(__u16 *)&ip->ttl;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~sum;
	mac_store(eth->h_source, mac_load(eth->h_dest));
	mac_store(eth->h_dest, target);
	count(passed);
	return bpf_redirect(skb->ifindex, 0);
}

/* What to do with a whole IPv4 frame. TC_ACT_OK leaves it to the kernel. */
static __always_inline int second_chance(struct __sk_buff *skb, const struct port *port)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct listeners *listeners;
	struct table *table = 0;
	struct packet p;
	__u32 zero = 0, vip_port;
	void *inner;
	int syn;

	if (data + sizeof(struct ethhdr) > end)
		return TC_ACT_OK;
	if (parse_ipv4(data + sizeof(struct ethhdr), end, &p) != PARSE_OK)
		return TC_ACT_OK;
	if (!is_vip(port, p.ip->daddr) || p.vip != p.ip->daddr)
		return TC_ACT_OK;
	if (p.fragment) {
		count(EVENT_FRAGMENT);
		return TC_ACT_OK;
	}
	listeners = bpf_map_lookup_elem(&listener_ports, &zero);
	if (!listeners)
		return TC_ACT_OK;
	vip_port = bpf_ntohs(p.vip_port);
	if (p.protocol == IPPROTO_UDP) {
		count(listeners->udp[vip_port / 64] >> (vip_port % 64) & 1 ? EVENT_UDP : EVENT_NOT_OURS);
		return TC_ACT_OK;
	}
	if (!(listeners->tcp[vip_port / 64] >> (vip_port % 64) & 1)) {
		count(EVENT_NOT_OURS);
		return TC_ACT_OK;
	}
	if (!p.quoted && !p.tcp)
		return TC_ACT_OK;
	if (owns(skb, &p, &syn)) {
		count(EVENT_TAKEN);
		return TC_ACT_OK;
	}
	if (!port->second_chance) {
		count(EVENT_SWITCHED_OFF);
		return TC_ACT_OK;
	}
	inner = bpf_map_lookup_elem(&table_now, &zero);
	if (inner)
		table = bpf_map_lookup_elem(inner, &zero);
	if (!table) {
		count(EVENT_NO_TABLE);
		return TC_ACT_OK;
	}
	return pass(skb, &p, table, syn ? EVENT_SYN_PASSED : p.quoted ? EVENT_ICMP_PASSED : EVENT_PASSED);
}

SEC("tcx/ingress")
int ownership(struct __sk_buff *skb)
{
	struct port *port;
	__u32 zero = 0;

	if (skb->pkt_type != PACKET_HOST)
		return TC_ACT_OK; /* the kernel answers nothing that is addressed to another MAC */
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(PROBE_ETHERTYPE))
		return TC_ACT_OK;
	port = bpf_map_lookup_elem(&port_config, &zero);
	if (!port)
		return TC_ACT_OK;
	/* Headers may lie outside the linear part. */
	if (skb->data_end - skb->data < PARSE_MAX && skb->data_end - skb->data < skb->len)
		bpf_skb_pull_data(skb, skb->len < PARSE_MAX ? skb->len : PARSE_MAX);
	if (skb->protocol == bpf_htons(PROBE_ETHERTYPE))
		return answer_probe(skb, port);
	return second_chance(skb, port);
}

char program_license[] SEC("license") = "Dual BSD/GPL"; /* some helpers the kernel has for GPL programs only */
