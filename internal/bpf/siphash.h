/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SipHash on whole 64-bit words, the same function as the Go package internal/siphash. */
#pragma once

#include <linux/types.h>

struct siphash_key {
	__u64 k0, k1; /* little-endian halves of the 16 bytes */
};

struct siphash_state {
	__u64 v0, v1, v2, v3;
};

#define SIPHASH_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static __always_inline void siphash_round(struct siphash_state *s)
{
	s->v0 += s->v1;
	s->v1 = SIPHASH_ROTL(s->v1, 13) ^ s->v0;
	s->v0 = SIPHASH_ROTL(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = SIPHASH_ROTL(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = SIPHASH_ROTL(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = SIPHASH_ROTL(s->v1, 17) ^ s->v2;
	s->v2 = SIPHASH_ROTL(s->v2, 32);
}

static __always_inline void siphash_init(struct siphash_state *s, const struct siphash_key *key)
{
	s->v0 = key->k0 ^ 0x736f6d6570736575ULL;
	s->v1 = key->k1 ^ 0x646f72616e646f6dULL;
	s->v2 = key->k0 ^ 0x6c7967656e657261ULL;
	s->v3 = key->k1 ^ 0x7465646279746573ULL;
}

/* c compression rounds; c is a constant, so that this unrolls. */
static __always_inline void siphash_block(struct siphash_state *s, int c, __u64 m)
{
	s->v3 ^= m;
#pragma unroll
	for (int i = 0; i < c; i++)
		siphash_round(s);
	s->v0 ^= m;
}

static __always_inline __u64 siphash_end(struct siphash_state *s, int d)
{
	s->v2 ^= 0xff;
#pragma unroll
	for (int i = 0; i < d; i++)
		siphash_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/*
 * The row function for IPv4: SipHash-1-3 over address and port as they stand in the packet, six bytes, which fit the
 * last block. IPv6 will be two blocks of address and this block with length 18.
 */
static __always_inline __u64 row_hash_v4(const struct siphash_key *key, __be32 addr, __be16 port)
{
	struct siphash_state s;

	siphash_init(&s, key);
	siphash_block(&s, 1, (__u64)addr | (__u64)port << 32 | 6ULL << 56);
	return siphash_end(&s, 3);
}

/* SipHash-2-4 over the 32 bytes w[0..3]. */
static __always_inline __u64 siphash24_32(const struct siphash_key *key, const __u64 *w)
{
	struct siphash_state s;

	siphash_init(&s, key);
	siphash_block(&s, 2, w[0]);
	siphash_block(&s, 2, w[1]);
	siphash_block(&s, 2, w[2]);
	siphash_block(&s, 2, w[3]);
	siphash_block(&s, 2, 32ULL << 56);
	return siphash_end(&s, 4);
}
