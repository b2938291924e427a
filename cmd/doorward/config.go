package main

import (
	"fmt"
	"strings"

	"doorward/internal/config"
)

type configCommand struct {
	JSON bool `help:"Write JSON."`
}

// Run shows every setting, passwords hidden, and tells at the end when they do not fit together.
func (c *configCommand) Run(t *terminal) error {
	type setting struct {
		Name  string `json:"name"`
		Value string `json:"value"`
		From  string `json:"from"`
	}
	var list []setting
	rows := [][]string{{"SETTING", "VALUE", "FROM"}}
	for _, f := range t.flags {
		value := fmt.Sprint(f.Target.Interface())
		if texts, ok := f.Target.Interface().([]string); ok {
			value = strings.Join(texts, ",")
		}
		s := setting{f.Name, config.Hide(f.Name, value), "command line"}
		if from, ok := t.origins[f.Name]; ok {
			s.From = from
		}
		list = append(list, s)
		rows = append(rows, []string{s.Name, s.Value, s.From})
	}
	var err error
	if c.JSON {
		err = t.json(list)
	} else {
		err = t.table(rows)
	}
	if err != nil {
		return err
	}
	return t.settings.Check()
}
