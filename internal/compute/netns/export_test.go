package netns

// SetStep has tests stop a call before a step, as a crash would.
func (d *Driver) SetStep(f func(name string) error) { d.step = f }

// SetAttachable has tests run on another kernel.
func (d *Driver) SetAttachable(f func() error) { d.attachable = f }

// CgroupOf is the cgroup of all instances.
func CgroupOf(d *Driver) string { return d.cgroup }
