package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// secrets are the settings that may hold a password. Each can also be read from the file that its environment variable with _FILE
// names, so that it stands in no process list and no unit file.
var secrets = []string{"database", "smtp"}

func isSecret(flag string) bool { return slices.Contains(secrets, flag) }

// Sources finds the settings that are not on the command line: in the environment, then in the settings file. An empty variable is
// none.
type Sources struct {
	Environment func(name string) string // os.Getenv

	path string
	file map[string]string // flag name -> value; lists joined by commas
}

// ReadFile reads a settings file: one JSON object whose keys are names of flags and whose values are texts or lists of texts. known
// are the names that there are. The error is one line that shows no value.
func (s *Sources) ReadFile(path string, known []string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("settings file: %w", err)
	}
	defer func() { _ = f.Close() }()
	values, err := parse(f, known)
	if err != nil {
		return fmt.Errorf("settings file %s: %w", path, err)
	}
	s.path, s.file = path, values
	return nil
}

func parse(r io.Reader, known []string) (map[string]string, error) {
	raw := map[string]any{}
	d := json.NewDecoder(r)
	if err := d.Decode(&raw); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, errors.New("it must be one JSON object")
		}
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows its JSON object")
	}
	values := map[string]string{}
	for name, v := range raw {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no setting %q; keys are the names of flags, without dashes in front", name)
		}
		switch v := v.(type) {
		case string:
			values[name] = v
		case []any:
			list := make([]string, 0, len(v))
			for _, one := range v {
				text, ok := one.(string)
				if !ok {
					return nil, fmt.Errorf("%s: a list must hold texts in quotes", name)
				}
				list = append(list, text)
			}
			values[name] = strings.Join(list, ",")
		default:
			return nil, fmt.Errorf("%s: the value must be a text in quotes, or a list of them", name)
		}
	}
	return values, nil
}

// Find returns the value of a setting and where it was found, or an empty origin when it is in none of the sources.
func (s *Sources) Find(flag, variable string) (value, origin string, err error) {
	value = s.Environment(variable)
	if isSecret(flag) {
		if path := s.Environment(variable + "_FILE"); path != "" {
			if value != "" {
				return "", "", fmt.Errorf("%s and %s_FILE are both set; keep one of them", variable, variable)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return "", "", fmt.Errorf("%s_FILE: %w", variable, err)
			}
			return strings.TrimSpace(string(b)), variable + "_FILE", nil
		}
	}
	if value != "" {
		return value, variable, nil
	}
	if v, ok := s.file[flag]; ok {
		return v, s.path, nil
	}
	return "", "", nil
}
