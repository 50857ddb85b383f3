package kubernetes

import (
	"fmt"
	"strconv"

	"github.com/nebula-credential/nebula"
)

func (d *driver) errNoNamespace() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "there is no namespace " + strconv.Quote(d.names.namespace),
		Hint: "look at namespace, or make it: kubectl create namespace " + d.names.namespace}
}

func (d *driver) errTerminating() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig,
		Message: "the namespace " + strconv.Quote(d.names.namespace) + " is being deleted: nothing new can be stored there",
		Hint:    "wait until it is gone and make it again, or look at namespace"}
}

// errStranger is the error for a Secret of other software or people.
func (d *driver) errStranger(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrCorrupted,
		Message: fmt.Sprintf("the Secret %s in namespace %s is not a nebula record, and is left alone", secret, d.names.namespace),
		Hint: "look whose it is: kubectl -n " + d.names.namespace + " describe secret " + secret +
			"; to take its values over: nebula import kubernetes:" + secret}
}

// errLost is the error for a record of ours whose id is not known.
func (d *driver) errLost(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrCorrupted,
		Message: fmt.Sprintf("the Secret %s in namespace %s has lost the annotation %s, and the id with it", secret, d.names.namespace, idAnnotation),
		Hint:    "anyone who knows the id can repair it with a put or tag of that id; else: kubectl -n " + d.names.namespace + " annotate secret " + secret + " " + idAnnotation + "=ID"}
}

// errForeignSecret is the error for a Secret that is marked as another
// credential's, or another store's.
func (d *driver) errForeignSecret(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrCorrupted,
		Message: fmt.Sprintf("the Secret %s in namespace %s is not this credential's, and is left alone", secret, d.names.namespace),
		Hint:    "look whose it is: kubectl -n " + d.names.namespace + " describe secret " + secret}
}

// errImmutable is not a conflict, because another attempt does not help.
func (d *driver) errImmutable(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrPermissionDenied,
		Message: fmt.Sprintf("the Secret %s in namespace %s is immutable", secret, d.names.namespace),
		Hint:    "delete the credential, then store it anew"}
}

// errFinalizing may pass by itself. It is not a conflict, because nobody wrote.
func (d *driver) errFinalizing(secret string) *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUnavailable,
		Message: fmt.Sprintf("the Secret %s in namespace %s is deleted and waits for a finalizer: a write to it would be lost with it", secret, d.names.namespace),
		Hint:    "look which: kubectl -n " + d.names.namespace + " get secret " + secret + " -o jsonpath={.metadata.finalizers}"}
}

func errForeignAnswer() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the server that answers is not the API server of a Kubernetes cluster",
		Hint: "look at the server of the cluster in the kubeconfig"}
}
