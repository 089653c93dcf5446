/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Probe frames between distributor and amphora; the Go codec is internal/distributor/probe. */
#pragma once

#include <linux/types.h>

#define PROBE_ETHERTYPE 0x88B5 /* IEEE 802 local experimental 1 */
#define PROBE_MAGIC 0x434e5042 /* "CNPB" */
#define PROBE_VERSION 1

enum probe_type {
	PROBE_ASK = 1,
	PROBE_ANSWER = 2,
	PROBE_DOWN = 3,
};

/* What follows the Ethernet header, big-endian; the frame is padded to 60 bytes. */
struct probe {
	__be32 magic;
	__u8 version;
	__u8 type;
	__be16 reserved;
	__be64 tag; /* SipHash-2-4 of the load balancer's id */
	__be64 sequence;
	__be64 sent_ns; /* the asker's clock; an answer repeats it */
	__be64 signature; /* SipHash-2-4 of the 32 bytes before it */
} __attribute__((packed));
