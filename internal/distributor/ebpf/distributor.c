//go:build ignore
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "distribute.h"

SEC("tcx/ingress")
int distributor(struct __sk_buff *skb)
{
	return distribute(skb);
}

char program_license[] SEC("license") = "Dual BSD/GPL"; /* some helpers the kernel has for GPL programs only */
