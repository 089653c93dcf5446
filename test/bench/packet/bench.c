//go:build ignore
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The distributor's code behind a wrapper that gives every run of the kernel's test run another flow, and the wrapper
 * alone, whose cost is taken off.
 */
#include "distribute.h"

volatile const __u32 flows = 1; /* 0: addresses and ports at random, as in a flood */

__u32 at;
__u32 random_state = 2463534242;

static __always_inline int next_flow(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 n;

	if ((void *)(tcp + 1) > end)
		return -1;
	if (flows) {
		n = at + 1 < flows ? at + 1 : 0;
		at = n;
	} else {
		n = random_state;
		n ^= n << 13;
		n ^= n >> 17;
		n ^= n << 5;
		random_state = n;
	}
	/* The program before has rewritten both. */
	mac_store(eth->h_dest, 0x0100dd000002);
	mac_store(eth->h_source, 0x0100cc000002);
	ip->saddr = bpf_htonl(0x0a000000 + (n & 0xffffff));
	tcp->source = bpf_htons(1024 + (n >> 10 & 0x7fff));
	return 0;
}

SEC("tcx/ingress")
int wrapper(struct __sk_buff *skb)
{
	return next_flow(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tcx/ingress")
int wrapped(struct __sk_buff *skb)
{
	if (next_flow(skb))
		return TC_ACT_SHOT;
	return distribute(skb);
}

char program_license[] SEC("license") = "Dual BSD/GPL"; /* some helpers the kernel has for GPL programs only */
