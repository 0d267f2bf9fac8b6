#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kube_provider.h"

static struct kube_provider provider;
static struct buffer error;

static int set_up(void **state)
{
    (void)state;
    provider = (struct kube_provider){0};
    buffer_init(&error, 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kube_provider_fini(&provider);
    buffer_fini(&error);
    return 0;
}

static void read_settings(const char *text)
{
    kube_provider_fini(&provider);
    buffer_reset(&error);
    assert_true(kube_provider_parse(&provider, span_text(text), &error));
    assert_int_equal(error.size, 0);
}

static void assert_refused(const char *text, const char *reason)
{
    struct kube_provider none;
    buffer_reset(&error);
    assert_false(kube_provider_parse(&none, span_text(text), &error));
    assert_non_null(strstr(buffer_text(&error), reason));
}

static void settings_are_separated_by_blanks(void **state)
{
    (void)state;
    read_settings("provider=k8s");
    assert_null(provider.namespace);
    assert_false(provider.host_network);
    read_settings("  provider=k8s\tnamespace=prod  field_selector=status.phase=Running "
                  "host_network=true\n");
    assert_string_equal(provider.namespace, "prod");
    assert_string_equal(provider.field_selector, "status.phase=Running");
    assert_null(provider.label_selector);
    assert_true(provider.host_network);
}

static void values_with_blanks_stand_in_quotes(void **state)
{
    (void)state;
    read_settings("provider=k8s label_selector=\"app=serf,tier in (a, b)\" namespace=\"x\"");
    assert_string_equal(provider.label_selector, "app=serf,tier in (a, b)");
    assert_string_equal(provider.namespace, "x");
    read_settings("provider=k8s label_selector=\"a\\\"b\\\\c\"");
    assert_string_equal(provider.label_selector, "a\"b\\c");
}

static void a_service_is_named_instead_of_pods(void **state)
{
    (void)state;
    read_settings("provider=k8s service=serf-members");
    assert_string_equal(provider.service, "serf-members");
    assert_refused("provider=k8s service=a label_selector=b=c", "give one or the other");
    assert_refused("provider=k8s service=a field_selector=b=c", "give one or the other");
    assert_refused("provider=k8s service=a host_network=true", "give one or the other");
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_refused("provider=aws tag_key=x", "there is no provider \"aws\": the only one is k8s");
    assert_refused("provider=k8s zone=a", "unknown key \"zone\": provider=k8s knows namespace, "
                                          "label_selector, field_selector, host_network and "
                                          "service");
    assert_refused("provider=k8s namespace", "\"namespace\" is no setting");
    assert_refused("provider=k8s =x", "\"=\" is no setting");
    assert_refused("provider=k8s \"namespace\"=x", "is no setting");
    assert_refused("provider=k8s namespace=", "the value of namespace is empty");
    assert_refused("provider=k8s namespace=\"\"", "the value of namespace is empty");
    assert_refused("provider=k8s namespace=a namespace=b", "namespace is given twice");
    assert_refused("provider=k8s host_network=yes",
                   "\"yes\" is no value of host_network, which is true or false");
}

static void quotes_must_end(void **state)
{
    (void)state;
    assert_refused("provider=k8s namespace=\"a", "the value of namespace must end with a double");
    assert_refused("provider=k8s namespace=\"a\"b", "the value of namespace must end");
    assert_refused("provider=k8s namespace=\"a\\", "the value of namespace must end");
    assert_refused("provider=k8s namespace=\"a\\nb\"", "the value of namespace must end");
    assert_refused("provider=k8s namespace=a\"b", "must stand in double quotes");
    assert_refused("provider=k8s namespace=a\\b", "must stand in double quotes");
}

static void settings_have_a_limit(void **state)
{
    static char text[KUBE_SETTINGS_SIZE_MAX + 2];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "provider=k8s namespace=", 23);
    assert_refused(text, "more than 4096 bytes of settings");
    text[KUBE_SETTINGS_SIZE_MAX] = '\0';
    read_settings(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_are_separated_by_blanks),
        TEST(values_with_blanks_stand_in_quotes),
        TEST(a_service_is_named_instead_of_pods),
        TEST(what_is_wrong_is_named),
        TEST(quotes_must_end),
        TEST(settings_have_a_limit),
    };
    return cmocka_run_group_tests_name("kube_provider", tests, NULL, NULL);
}
