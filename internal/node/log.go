package node

import (
	"fmt"
	"io"
	"log/slog"
)

func (l Log) level() (slog.Level, error) {
	var v slog.Level
	if err := v.UnmarshalText([]byte(l.Level)); err != nil {
		return 0, fmt.Errorf("log level %q: must be debug, info, warn or error", l.Level)
	}
	return v, nil
}

// New returns a logger that writes to w. l must be valid.
func (l Log) New(w io.Writer) *slog.Logger {
	v, err := l.level()
	if err != nil {
		v = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: v}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
