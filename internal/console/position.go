package console

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseSpeed reads a speed: 0.5x, 2x, 2 or max.
func ParseSpeed(s string) (float64, error) {
	if s == "max" {
		return math.Inf(1), nil
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(s, "x"), 64)
	if err != nil || !(f >= 1.0/1024 && f <= 1024*1024) {
		return 0, Usage("speed %q is not understood: use 0.5x, 2x, max, …", s)
	}
	return f, nil
}

// ParsePosition reads a place in a recording that began at start: an offset such
// as 1m30s, or a time of RFC 3339.
func ParsePosition(s string, start time.Time) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return max(t.Sub(start), 0), nil
	}
	return 0, Usage("position %q is not understood: use an offset such as 1m30s, or a time such as 2026-02-09T10:15:30Z", s)
}

// ParseTime reads a time for a filter: RFC 3339, a date (UTC), or how long ago.
func ParseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, Usage("time %q is not understood: use 2026-02-09T10:15:30Z, 2026-02-09, 90m, 2h or 7d", s)
}
