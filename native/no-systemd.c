/* Stands in for libsystemd in crun, which links it for a cgroup manager that is not used here: with it come five more
   libraries, and mapping and binding them is a third of crun's start (measured). Every function says that there is no
   such thing. crun that wants a function which is missing here does not start, which the daemon tries once: see
   src/runtime/shim-runtimes.ts. */
#include <errno.h>

long absent(void);
long absent(void) { return -ENOSYS; }

#define ABSENT(name) \
  long name(void); \
  long name(void) __attribute__((alias("absent")))

ABSENT(sd_bus_call);
ABSENT(sd_bus_default);
ABSENT(sd_bus_default_system);
ABSENT(sd_bus_default_user);
ABSENT(sd_bus_error_free);
ABSENT(sd_bus_error_get_errno);
ABSENT(sd_bus_flush_close_unref);
ABSENT(sd_bus_match_signal);
ABSENT(sd_bus_match_signal_async);
ABSENT(sd_bus_message_append);
ABSENT(sd_bus_message_append_array);
ABSENT(sd_bus_message_append_basic);
ABSENT(sd_bus_message_append_strv);
ABSENT(sd_bus_message_close_container);
ABSENT(sd_bus_message_new_method_call);
ABSENT(sd_bus_message_open_container);
ABSENT(sd_bus_message_read);
ABSENT(sd_bus_message_unref);
ABSENT(sd_bus_open_system);
ABSENT(sd_bus_open_user);
ABSENT(sd_bus_process);
ABSENT(sd_bus_unref);
ABSENT(sd_bus_wait);
ABSENT(sd_journal_send);
ABSENT(sd_journal_send_with_location);
ABSENT(sd_notify);
ABSENT(sd_notify_barrier);
ABSENT(sd_notifyf);
