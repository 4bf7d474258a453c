// Command status_tools says what the tools that wait for a Kubernetes object make of its status, by their own code.
//
// It reads a JSON list of objects from standard input and writes a list of verdicts, in the same order, to standard
// output: the decision of kstatus, by which Flux and Helm wait, and what Flux's conformance checker has against the
// status, once by its rules for the middle of a reconciliation and once by those for the end of one.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/conditions/check"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kerrors "k8s.io/apimachinery/pkg/util/errors"
)

type verdict struct {
	Kstatus string   `json:"kstatus"`
	Midway  []string `json:"midway"`
	Final   []string `json:"final"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var objects []*unstructured.Unstructured
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	verdicts := make([]verdict, len(objects))
	for i, object := range objects {
		decision, err := status.Compute(object)
		if err != nil {
			return fmt.Errorf("object %d: %w", i, err)
		}
		verdicts[i] = verdict{
			Kstatus: decision.Status.String(),
			Midway:  complaints(check.NewInProgressChecker(nil), object),
			Final:   complaints(check.NewChecker(nil, &polarity), object),
		}
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

// polarity names the conditions that are bad news while they are True.
var polarity = check.Conditions{NegativePolarity: []string{"Reconciling", "Stalled"}}

// complaints collects failures and warnings alike. The checker dereferences a Ready that is not there when it looks
// for warnings; that it is missing is then all there is to say.
func complaints(checker *check.Checker, object *unstructured.Unstructured) []string {
	checker.DisableFetch = true
	getter := conditions.UnstructuredGetter(object)
	if !conditions.Has(getter, "Ready") {
		return []string{"Ready condition must always be present"}
	}
	said := []string{}
	fail, warn := checker.Check(context.Background(), getter)
	for _, found := range []error{fail, warn} {
		if all, ok := found.(kerrors.Aggregate); ok {
			for _, one := range all.Errors() {
				said = append(said, strings.SplitN(one.Error(), ":", 2)[0])
			}
		}
	}
	return said
}
