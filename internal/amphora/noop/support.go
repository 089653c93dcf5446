package noop

import "colonnade/internal/lb"

// Provider is the provider whose amphorae do nothing, and can do that with anything.
type Provider struct{}

// Supports takes every tree.
func (Provider) Supports(*lb.Tree) error { return nil }

// FlavorCapabilities are all.
func (Provider) FlavorCapabilities() []lb.Capability { return lb.FlavorCapabilities() }

// ZoneCapabilities are all.
func (Provider) ZoneCapabilities() []lb.Capability { return lb.ZoneCapabilities() }

// TakesAnyOption is true: the options mean nothing to amphorae that do nothing.
func (Provider) TakesAnyOption() bool { return true }
