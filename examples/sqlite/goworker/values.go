package main

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func bind(args []any) ([]driver.NamedValue, error) {
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i].Ordinal = i + 1
		switch v := arg.(type) {
		case nil, string:
			values[i].Value = v
		case json.Number:
			number, err := toNumber(v)
			if err != nil {
				return nil, err
			}
			values[i].Value = number
		default:
			return nil, fmt.Errorf("args[%d] is %v: send null, numbers and strings", i, arg)
		}
	}
	return values, nil
}

func toNumber(n json.Number) (driver.Value, error) {
	if strings.ContainsAny(n.String(), ".eE") {
		return n.Float64()
	}
	v, err := n.Int64()
	if err != nil {
		return nil, fmt.Errorf("the integer %s has more than 64 bits: send it as a string", n)
	}
	return v, nil
}

// toJSON is a column as the contract has it.
func toJSON(column string, v driver.Value) (any, error) {
	switch v := v.(type) {
	case float64:
		return realNumber(v), nil
	case bool: // the driver's reading of a column that was declared BOOLEAN
		if v {
			return 1, nil
		}
		return 0, nil
	case time.Time:
		return nil, fmt.Errorf("the column %s is declared as a time, which the Go driver does not give as it is stored: select it as CAST(%s AS TEXT)", column, column)
	case []byte:
		return nil, fmt.Errorf("the column %s is a BLOB: select it as hex(%s)", column, column)
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("the column %s is not UTF-8: select it as hex(%s)", column, column)
		}
	}
	return v, nil
}

// realNumber is a number that is not an integer, even if it is whole.
type realNumber float64

// MarshalJSON writes the shortest text that reads back as the same number, with a point or an exponent.
func (r realNumber) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(r), 'g', -1, 64)
	switch {
	case strings.ContainsAny(text, "IN"):
		return nil, fmt.Errorf("%s has no JSON form: select it as text", text)
	case !strings.ContainsAny(text, ".e"):
		text += ".0"
	}
	return []byte(text), nil
}
