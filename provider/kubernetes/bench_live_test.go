package kubernetes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// What the provider with all its layers adds to the same call, with the same
// bytes, of client-go: at most 5 % and 50 µs is the goal. Both take turns on one
// server, and the medians are reported.
func BenchmarkLiveOverhead(b *testing.B) {
	s := livetest.Kubernetes(b)
	c := liveConfig(b, s, s.Namespace(b))
	p := open(b, c, middleware.Options{Metrics: new(middleware.StorageMetrics)})
	client := sdk(b, c.KubeconfigPath)
	ctx := b.Context()
	name, e := record(b, "timed", strings.Repeat("v", 1024), nil)
	if _, err := p.Store(ctx, name, e, nebula.StoreOptions{}); err != nil {
		b.Fatal(err)
	}
	of := func(r *rest.Request) *rest.Request {
		return r.Namespace(c.Namespace).Resource("secrets").Name(kubernetes.SecretName(c, name))
	}
	stored := new(corev1.Secret)
	if err := of(client.Get()).Do(ctx).Into(stored); err != nil {
		b.Fatal(err)
	}
	// An update of another object: of the same one, each write would lead to a
	// conflict with the other side's.
	other := stored.DeepCopy()
	other.ObjectMeta = metav1.ObjectMeta{Name: "of-client-go", Labels: stored.Labels, Annotations: stored.Annotations}
	if err := client.Post().Namespace(c.Namespace).Resource("secrets").Body(other).Do(ctx).Into(other); err != nil {
		b.Fatal(err)
	}
	changed, turn := []byte("1"), 0
	compare(b, "retrieve",
		func() error { _, err := p.Retrieve(ctx, name); return err },
		func() error { return of(client.Get()).Do(ctx).Into(new(corev1.Secret)) })
	compare(b, "store",
		func() error {
			_, e := record(b, "timed", strings.Repeat("v", 1024), nil)
			_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
			return err
		},
		func() error {
			turn++
			changed[0] = byte('0' + turn%10)
			other.Data["turn"] = changed
			return client.Put().Namespace(c.Namespace).Resource("secrets").Name(other.Name).Body(other).Do(ctx).Into(other)
		})
	compare(b, "exists",
		func() error { _, err := p.Exists(ctx, name); return err },
		func() error { return of(client.Get()).Do(ctx).Into(new(corev1.Secret)) })
}

// sdk is client-go's REST client, in JSON and without its own limits.
func sdk(b *testing.B, path string) *rest.RESTClient {
	b.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		b.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		b.Fatal(err)
	}
	config.GroupVersion, config.APIPath, config.QPS = &corev1.SchemeGroupVersion, "/api", -1
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func compare(b *testing.B, what string, ours, theirs func() error) {
	b.Run(what, func(b *testing.B) {
		took := func(call func() error) time.Duration {
			began := time.Now()
			if err := call(); err != nil {
				b.Fatal(err)
			}
			return time.Since(began)
		}
		var mine, yours []time.Duration
		for b.Loop() {
			mine, yours = append(mine, took(ours)), append(yours, took(theirs))
		}
		slices.Sort(mine)
		slices.Sort(yours)
		middle := len(mine) / 2
		b.ReportMetric(float64(mine[middle].Microseconds()), "µs-ours")
		b.ReportMetric(float64(yours[middle].Microseconds()), "µs-sdk")
	})
}
