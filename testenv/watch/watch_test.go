package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestUntil(t *testing.T) {
	t.Run("a file that comes later is seen", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		dir := t.TempDir()
		asked := make(chan struct{}, 1)
		done := make(chan error, 1)
		go func() {
			done <- Until(ctx, dir, func() (bool, error) {
				select {
				case asked <- struct{}{}:
				default:
				}
				_, err := os.Stat(filepath.Join(dir, "there"))
				return err == nil, nil
			})
		}()
		<-asked // it waits now, or is about to
		if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("the context ends the wait", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := Until(ctx, t.TempDir(), func() (bool, error) { cancel(); return false, nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the condition's error ends the wait", func(t *testing.T) {
		want := errors.New("no")
		if err := Until(t.Context(), t.TempDir(), func() (bool, error) { return false, want }); err != want {
			t.Errorf("got %v", err)
		}
	})
}
