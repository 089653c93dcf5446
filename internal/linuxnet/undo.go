package linuxnet

import (
	"log/slog"
)

// Undo collects what takes back the steps done so far, newest first:
//
//	undo := linuxnet.NewUndo()
//	defer undo.RunUnlessDone()
//	…
//	undo.Add("delete link", func() error { … })
//	…
//	undo.Done()
type Undo struct {
	steps []undoStep
}

type undoStep struct {
	what string
	fn   func() error
}

// NewUndo makes an empty stack.
func NewUndo() *Undo { return &Undo{} }

// Add pushes a step; what names it in the log when taking it back fails.
func (u *Undo) Add(what string, fn func() error) { u.steps = append(u.steps, undoStep{what, fn}) }

// Done forgets the steps: what was built stays.
func (u *Undo) Done() { u.steps = nil }

// RunUnlessDone takes the steps back. A step that fails is logged (the error that led here is the one to return) and
// does not keep the others from running.
func (u *Undo) RunUnlessDone() {
	for i := len(u.steps) - 1; i >= 0; i-- {
		if err := u.steps[i].fn(); err != nil {
			slog.Default().Warn("undo step failed", "step", u.steps[i].what, "error", err)
		}
	}
	u.steps = nil
}
