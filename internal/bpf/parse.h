/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading frames between two pointers, the same for sk_buff and xdp_buff. A new address family adds a
 * parse_… beside parse_ipv4 and fills the same struct packet.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* The most that parsing looks at: Ethernet, two IPv4 headers with options, ICMP and the first bytes of TCP. */
#define PARSE_MAX (14 + 60 + 8 + 60 + 8)

/* <linux/icmp.h> wants the C library of the host. */
struct icmp_header {
	__u8 type, code;
	__be16 checksum;
	__be32 rest;
};

enum {
	ICMP_DEST_UNREACH = 3,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETERPROB = 12,
};

#define IP_OFFSET_MASK 0x1fff
#define IP_MORE_FRAGMENTS 0x2000

enum parse_result {
	PARSE_OK,
	PARSE_TRUNCATED, /* maybe only not in the linear part yet */
	PARSE_MALFORMED,
	PARSE_ICMP_ECHO, /* echo request */
	PARSE_ICMP_OTHER, /* an ICMP message that concerns no connection */
	PARSE_PROTOCOL, /* neither TCP, UDP nor ICMP */
};

/* A packet as the row function and socket look-ups see it: from the client to the VIP, also when an error quotes it. */
struct packet {
	__be32 client; /* IPv4 */
	__be32 vip;
	__be16 client_port; /* 0 for fragments */
	__be16 vip_port;
	__u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 fragment; /* of a fragmented datagram, the first one too */
	__u8 quoted; /* the connection is quoted in an ICMP error */
	struct iphdr *ip; /* the outer header */
	struct tcphdr *tcp; /* complete first 20 bytes, or NULL */
};

/* A 48-bit address in the low bytes, in the order of the wire. */
static __always_inline __u64 mac_load(const __u8 *p)
{
	return (__u64)*(const __u32 *)p | (__u64)*(const __u16 *)(p + 4) << 32;
}

static __always_inline void mac_store(__u8 *p, __u64 mac)
{
	*(__u32 *)p = (__u32)mac;
	*(__u16 *)(p + 4) = (__u16)(mac >> 32);
}

/* The connection quoted in an ICMP error: what the VIP sent to the client. */
static __always_inline enum parse_result parse_quoted(void *data, void *end, struct packet *p)
{
	struct iphdr *ip = data;
	__be16 *ports;

	if ((void *)(ip + 1) > end)
		return PARSE_TRUNCATED;
	if (ip->version != 4 || ip->ihl < 5)
		return PARSE_MALFORMED;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return PARSE_ICMP_OTHER;
	if (ip->frag_off & bpf_htons(IP_OFFSET_MASK))
		return PARSE_ICMP_OTHER; /* quotes no ports */
	ports = data + ip->ihl * 4;
	if ((void *)(ports + 2) > end)
		return PARSE_TRUNCATED;
	p->protocol = ip->protocol;
	p->vip = ip->saddr;
	p->client = ip->daddr;
	p->vip_port = ports[0];
	p->client_port = ports[1];
	p->quoted = 1;
	return PARSE_OK;
}

/* data is where the IPv4 header begins. p->vip is valid with every result but truncated and malformed. */
static __always_inline enum parse_result parse_ipv4(void *data, void *end, struct packet *p)
{
	struct iphdr *ip = data;
	void *l4;

	p->client_port = p->vip_port = 0;
	p->fragment = p->quoted = 0;
	p->tcp = 0;
	if (unlikely((void *)(ip + 1) > end))
		return PARSE_TRUNCATED;
	if (unlikely(ip->version != 4 || ip->ihl < 5))
		return PARSE_MALFORMED;
	p->ip = ip;
	p->client = ip->saddr;
	p->vip = ip->daddr;
	p->protocol = ip->protocol;
	p->fragment = (ip->frag_off & bpf_htons(IP_OFFSET_MASK | IP_MORE_FRAGMENTS)) != 0;
	l4 = data + ip->ihl * 4;

	if (likely(p->protocol == IPPROTO_TCP)) {
		struct tcphdr *tcp = l4;

		if (p->fragment)
			return PARSE_OK;
		if ((void *)(tcp + 1) > end)
			return PARSE_TRUNCATED;
		p->client_port = tcp->source;
		p->vip_port = tcp->dest;
		p->tcp = tcp;
		return PARSE_OK;
	}
	if (p->protocol == IPPROTO_UDP) {
		struct udphdr *udp = l4;

		if (p->fragment)
			return PARSE_OK;
		if ((void *)(udp + 1) > end)
			return PARSE_TRUNCATED;
		p->client_port = udp->source;
		p->vip_port = udp->dest;
		return PARSE_OK;
	}
	if (p->protocol == IPPROTO_ICMP) {
		struct icmp_header *icmp = l4;

		/* Of a fragmented ICMP message only an echo can be that long. */
		if (p->fragment)
			return PARSE_ICMP_ECHO;
		if ((void *)(icmp + 1) > end)
			return PARSE_TRUNCATED;
		switch (icmp->type) {
		case ICMP_ECHO:
			return PARSE_ICMP_ECHO;
		case ICMP_DEST_UNREACH:
		case ICMP_TIME_EXCEEDED:
		case ICMP_PARAMETERPROB:
			return parse_quoted(icmp + 1, end, p);
		}
		return PARSE_ICMP_OTHER;
	}
	return PARSE_PROTOCOL;
}
