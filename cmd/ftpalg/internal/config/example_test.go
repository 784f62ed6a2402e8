package config

import (
	"reflect"
	"testing"
)

// The example that is installed says every default, and nothing else.
func TestExampleIsTheDefault(t *testing.T) {
	got, err := Load("../../../../deploy/config/ftpalg.toml")
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("the example says\n%+v\nthe defaults are\n%+v", got, want)
	}
}
