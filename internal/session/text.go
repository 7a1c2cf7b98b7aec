package session

import (
	"encoding/json"
	"unicode/utf8"
)

// Text is text that came from a session: usually UTF-8, possibly any bytes. In
// JSON it is a string when it is valid UTF-8, and {"b":"<base64>"} otherwise,
// so that nothing is replaced on the way.
type Text string

type rawText struct {
	B []byte `json:"b"`
}

// MarshalJSON writes a string, or an object with base64 for text that is not UTF-8.
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(rawText{B: []byte(t)})
}

// UnmarshalJSON reads both forms.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var r rawText
		if err := json.Unmarshal(b, &r); err != nil {
			return err
		}
		*t = Text(r.B)
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*t = Text(s)
	return nil
}
