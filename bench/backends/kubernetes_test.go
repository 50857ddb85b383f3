package backends

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

func BenchmarkKubernetes(b *testing.B) {
	s := livetest.Kubernetes(b)
	c := kubernetes.DefaultConfigIn(func(string) string { return "" })
	c.Namespace, c.KubeconfigPath = s.Namespace(b), s.Kubeconfig(b, map[string]any{"token": s.AdminToken}, "")
	p, err := kubernetes.New(c, provider.WithMetrics(new(provider.StorageMetrics)))
	check(b, err)
	connect(b, p)
	name, _ := storeTimed(b, p, 0)
	config, err := clientcmd.BuildConfigFromFlags("", c.KubeconfigPath)
	check(b, err)
	sdk := kubernetesSDK(b, config)
	var stored corev1.SecretList
	check(b, sdk.Get().Namespace(c.Namespace).Resource("secrets").Do(ctx).Into(&stored))
	if len(stored.Items) != 1 {
		b.Fatalf("%d Secrets, want 1", len(stored.Items))
	}
	read := func() error {
		return sdk.Get().Namespace(c.Namespace).Resource("secrets").Name(stored.Items[0].Name).Do(ctx).Into(new(corev1.Secret))
	}
	paired.Calls(b, "retrieve", read, func() error { _, err := p.Retrieve(ctx, name); return err })
	paired.Calls(b, "store", updateOther(b, sdk, stored.Items[0]), func() error {
		_, e := record(b, "timed", strings.Repeat("v", 1024))
		_, err := p.Store(ctx, name, e, nebula.StoreOptions{})
		return err
	})
	paired.Calls(b, "exists", read, func() error { _, err := p.Exists(ctx, name); return err })
}

// updateOther returns an update of another Secret like this one. If both sides wrote to
// one Secret, each write would conflict with the other side's.
func updateOther(b *testing.B, sdk *rest.RESTClient, like corev1.Secret) func() error {
	b.Helper()
	other := like.DeepCopy()
	other.ObjectMeta = metav1.ObjectMeta{Name: "of-client-go", Labels: like.Labels, Annotations: like.Annotations}
	check(b, sdk.Post().Namespace(like.Namespace).Resource("secrets").Body(other).Do(ctx).Into(other))
	turn := 0
	return func() error {
		turn++
		other.Data["turn"] = []byte{byte('0' + turn%10)}
		return sdk.Put().Namespace(like.Namespace).Resource("secrets").Name(other.Name).Body(other).Do(ctx).Into(other)
	}
}

// kubernetesSDK is client-go's REST client, in JSON and without its own limits.
func kubernetesSDK(tb testing.TB, config *rest.Config) *rest.RESTClient {
	tb.Helper()
	scheme := runtime.NewScheme()
	check(tb, corev1.AddToScheme(scheme))
	config.GroupVersion, config.APIPath, config.QPS = &corev1.SchemeGroupVersion, "/api", -1
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	check(tb, err)
	return client
}
