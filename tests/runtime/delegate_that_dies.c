/* An external TFLite delegate that takes every operator, answers zeros for some invocations, then fails or hangs.

   It stands for an accelerator that is unplugged in flight. Structures are as tensorflow/lite/core/c/common.h lays them
   out; only their heads are named, the rest is never touched. Options: "after" (invocations that work), "how" (fail or
   hang), "once" (a file: where it exists, loading is refused, as it is for an accelerator that is gone). */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { int size; int data[]; } IntArray;
typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, void *);
  int (*invoke)(Context *, void *);
  const char *(*profiling_string)(const Context *, const void *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *registration_external;
  void *async_kernel;
  uint64_t inplace_operator;
} Registration;

struct Context {
  size_t tensors_size;
  int (*get_execution_plan)(Context *, IntArray **);
  void *tensors;
  void *impl;
  int (*resize_tensor)(Context *, void *, IntArray *);
  void (*report_error)(Context *, const char *, ...);
  int (*add_tensors)(Context *, int, int *);
  int (*get_node_and_registration)(Context *, int, void **, Registration **);
  int (*replace_node_subsets)(Context *, Registration, const IntArray *, Delegate *);
};

struct Delegate {
  void *data;
  int (*prepare)(Context *, Delegate *);
  int (*copy_from)(void), (*copy_to)(void);
  void (*free_handle)(void);
  int64_t flags;
  void *opaque;
};

static long after = 1 << 30, invoked = 0;
static bool hang = false;

static void *init(Context *context, const char *parameters, size_t size) { return malloc(1); }
static void release(Context *context, void *data) { free(data); }
static int prepare_node(Context *context, void *node) { return 0; }
static int invoke_node(Context *context, void *node) {
  if (++invoked <= after) return 0;
  if (hang) sleep(3);
  context->report_error(context, "the accelerator does not answer");
  return 1;
}

static int prepare(Context *context, Delegate *self) {
  IntArray *plan;
  if (context->get_execution_plan(context, &plan)) return 1;
  Registration kernel = {.init = init, .free = release, .prepare = prepare_node, .invoke = invoke_node,
                         .custom_name = "dies", .version = 1};
  size_t bytes = sizeof(int) * (1 + plan->size);
  IntArray *all = malloc(bytes);
  memcpy(all, plan, bytes);
  int status = context->replace_node_subsets(context, kernel, all, self);
  free(all);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  for (size_t i = 0; i < count; i++) {
    if (!strcmp(keys[i], "after")) after = atol(values[i]);
    if (!strcmp(keys[i], "how")) hang = !strcmp(values[i], "hang");
    if (!strcmp(keys[i], "once") && access(values[i], F_OK) == 0) { report("no accelerator found"); return NULL; }
  }
  invoked = 0;
  Delegate *made = calloc(1, sizeof *made);
  made->prepare = prepare;
  return made;
}

void tflite_plugin_destroy_delegate(Delegate *made) { free(made); }
