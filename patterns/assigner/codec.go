package assigner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Codec makes bodies of values and values of bodies. It is used by many goroutines at once.
type Codec interface {
	// Name names the codec in errors, as json.
	Name() string
	// Marshal returns v as a body, which is the caller's.
	Marshal(v any) ([]byte, error)
	// Unmarshal stores what a body says in the value that v points to, and keeps no part of the body.
	Unmarshal(body []byte, v any) error
}

// JSON is the default codec: encoding/json. Fields that a value does not have are ignored, so that either end may be the newer one; anything behind
// the value is an error.
var JSON Codec = jsonCodec{}

// StrictJSON is JSON, but refuses fields that a value does not have: a mistyped field is an error, not a zero.
var StrictJSON Codec = jsonCodec{strict: true}

type jsonCodec struct{ strict bool }

// Name is Codec's.
func (jsonCodec) Name() string { return "json" }

// Marshal is Codec's.
func (jsonCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

// Unmarshal is Codec's. The error says where, and which field.
func (c jsonCodec) Unmarshal(body []byte, v any) error {
	if !c.strict {
		return at(json.Unmarshal(body, v))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("there is no value")
		}
		return at(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("at byte %d: something follows the value", d.InputOffset())
	}
	return nil
}

// at adds where an error was found, as far as encoding/json knows.
func at(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("at byte %d: %w", syntax.Offset, err)
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("field %s at byte %d: a %s where a %v belongs: %w", kind.Field, kind.Offset, kind.Value, kind.Type, err)
	}
	return err
}
