package identity

// Cached is how many answers are remembered.
func Cached(k *Keystone) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.cache)
}
