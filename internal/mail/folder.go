package mail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Folder is a Sender that writes each message as a file instead of sending it: for tests, and where no mail server can be reached.
type Folder struct{ dir string }

// NewFolder returns a sender that writes into dir, which it makes when it is missing. The error says why it can't be written to.
func NewFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mail folder: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return nil, fmt.Errorf("mail folder: %w", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return nil, fmt.Errorf("mail folder: %w", err)
	}
	return &Folder{dir}, nil
}

// Send writes the message as "{UTC time}-{kind}-{id}.eml", readable by the owner alone, because it holds links that let someone in.
// File names sort by time. A file with that ending is always whole, and on the disk when Send returns nil.
func (f *Folder) Send(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now().UTC()
	msg, err := m.eml(now)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(f.dir, ".mail-*")
	if err != nil {
		return fmt.Errorf("mail folder: %w", err)
	}
	_, err = msg.WriteTo(file)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		id, _, _ := strings.Cut(m.ID, "@")
		name := now.Format("20060102T150405.000000000Z") + "-" + m.Kind + "-" + id + ".eml"
		err = os.Rename(file.Name(), filepath.Join(f.dir, name))
	}
	if err != nil {
		return fmt.Errorf("mail folder: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return f.sync()
}

// sync makes the new name survive a power loss.
func (f *Folder) sync() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return fmt.Errorf("mail folder: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("mail folder: %w", err)
	}
	return nil
}
