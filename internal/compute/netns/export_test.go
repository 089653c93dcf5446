package netns

// SetStep has tests stop a call before a step, as a crash would.
func (d *Driver) SetStep(f func(name string) error) { d.step = f }
