/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "ctl/ctl.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_NO_ANSWER = 1,
	EXIT_WRONG_USE = 2,
};

#define ANSWER_LIMIT_S 10
#define CLEAR_SCREEN "\033[H\033[J"

struct options {
	char *socket; /* owned */
	int vm;	      /* 0: the one there is */
	gboolean is_json;
	double interval_s;
	int n_rounds; /* of top; 0: for ever */
	gboolean is_version;
	char **words; /* owned: the command and its own */
};

struct session {
	struct client client;
	const struct options *options;
};

static int G_GNUC_PRINTF(1, 2) complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	fprintf(stderr, "vhost-device-gpuctl: %s\n", text);
	return EXIT_WRONG_USE;
}

/* ---- what all commands need ---- */

static void vm_free(void *data)
{
	struct view_vm *vm = data;

	records_free(vm->records);
	g_free(vm);
}

/* What was asked, and who has answered. */
struct view {
	struct records *program; /* owned */
	GPtrArray *vms;		 /* owned; of struct view_vm */
	unsigned int n_asked;
};

static void view_clear(struct view *view)
{
	records_free(view->program);
	g_ptr_array_unref(view->vms);
}

/* One that ends just now, or stands still, is no reason to say nothing of the others. */
static void ask_vm(const struct session *session, uint64_t id, struct view *view)
{
	g_autofree char *words = g_strdup_printf("status vm=%" G_GUINT64_FORMAT, id);
	struct records *records = client_ask(&session->client, words, NULL);

	view->n_asked++;
	if (records == NULL) {
		complain("VM %" G_GUINT64_FORMAT " is left out", id);
		return;
	}
	struct view_vm *vm = g_new(struct view_vm, 1);
	*vm = (struct view_vm){ id, records };
	g_ptr_array_add(view->vms, vm);
}

static void ask_vms(const struct session *session, struct view *view)
{
	for (guint i = 0; i < view->program->list->len; i++) {
		const struct record *record = g_ptr_array_index(view->program->list, i);
		uint64_t id = record_number(record, "id");

		if (strcmp(record->name, "vm") == 0 &&
		    (session->options->vm == 0 || id == (uint64_t)session->options->vm)) {
			ask_vm(session, id, view);
		}
	}
}

/* False, after a line that says why: there is nothing to show, nor will there be. */
static bool ask_all(const struct session *session, struct view *view_out)
{
	struct view view = { .program = client_ask(&session->client, "vms", NULL) };

	if (view.program == NULL) {
		return false;
	}
	view.vms = g_ptr_array_new_with_free_func(vm_free);
	ask_vms(session, &view);
	if (view.n_asked == 0 && session->options->vm != 0) {
		complain("there is no VM %d", session->options->vm);
		view_clear(&view);
		return false;
	}
	*view_out = view;
	return true;
}

enum sight {
	SIGHT_NONE,   /* the program is not there, or not the VM that is named */
	SIGHT_SILENT, /* of all VMs that were asked none has answered */
	SIGHT_SHOWN,
};

typedef void (*print_fn)(const struct records *program, const GPtrArray *vms);

static enum sight look(const struct session *session, print_fn print)
{
	struct view view;

	if (!ask_all(session, &view)) {
		return SIGHT_NONE;
	}
	bool is_silent = view.n_asked > 0 && view.vms->len == 0;
	if (!is_silent) {
		print(view.program, view.vms);
	}
	view_clear(&view);
	return is_silent ? SIGHT_SILENT : SIGHT_SHOWN;
}

static int show(const struct session *session, print_fn print)
{
	return look(session, print) == SIGHT_SHOWN ? EXIT_DONE : EXIT_NO_ANSWER;
}

/* "set-mode vm=2 ..."; owned. */
static char *with_vm(const struct session *session, const char *verb)
{
	return session->options->vm != 0 ? g_strdup_printf("%s vm=%d", verb, session->options->vm)
					 : g_strdup(verb);
}

static bool read_scanout(const char *text, unsigned int *scanout_out)
{
	guint64 scanout;

	if (!g_ascii_string_to_unsigned(text, 10, 0, 15, &scanout, NULL)) {
		complain("'%s' is no scanout (allowed: 0 to 15)", text);
		return false;
	}
	*scanout_out = (unsigned int)scanout;
	return true;
}

/* ---- commands: words are those behind the command's name ---- */

static int run_status(const struct session *session, char **words G_GNUC_UNUSED)
{
	return show(session, session->options->is_json ? json_print : view_text);
}

static int run_metrics(const struct session *session, char **words G_GNUC_UNUSED)
{
	return show(session, metrics_print);
}

/* At once, whatever it waits for; all that was to be seen is written. */
static void interrupted(int signal_number G_GNUC_UNUSED)
{
	_exit(EXIT_DONE);
}

static int run_top(const struct session *session, char **words G_GNUC_UNUSED)
{
	const struct sigaction action = { .sa_handler = interrupted };
	const struct options *options = session->options;
	enum sight sight = SIGHT_SHOWN;

	sigaction(SIGINT, &action, NULL);
	for (int i = 0; sight != SIGHT_NONE && !ferror(stdout) &&
			(options->n_rounds == 0 || i < options->n_rounds);
	     i++) {
		if (i > 0) {
			g_usleep((gulong)(options->interval_s * G_USEC_PER_SEC));
		}
		if (isatty(STDOUT_FILENO) && !options->is_json) {
			fputs(CLEAR_SCREEN, stdout);
		}
		sight = look(session, options->is_json ? json_print : view_text);
		fflush(stdout);
	}
	return sight == SIGHT_SHOWN ? EXIT_DONE : EXIT_NO_ANSWER;
}

static int save(const struct session *session, const char *verb, unsigned int scanout,
		const char *path)
{
	g_autofree char *begin = with_vm(session, verb);
	g_autofree char *words = g_strdup_printf("%s scanout=%u", begin, scanout);
	g_autofree char *pixels = NULL;
	struct records *records = client_ask(&session->client, words, &pixels);

	if (records == NULL) {
		return EXIT_NO_ANSWER;
	}
	const struct record *picture = records_find(records, "picture");
	int error = png_write(path, (uint32_t)record_number(picture, "width"),
			      (uint32_t)record_number(picture, "height"),
			      record_bool(picture, "alpha"), pixels);
	records_free(records);
	if (error < 0) {
		complain("'%s': %s", path, g_strerror(-error));
		return EXIT_NO_ANSWER;
	}
	return EXIT_DONE;
}

/* [SCANOUT] FILE */
static int run_screenshot(const struct session *session, char **words)
{
	unsigned int scanout = 0;

	if (words[1] != NULL && !read_scanout(words[0], &scanout)) {
		return EXIT_WRONG_USE;
	}
	return save(session, "screenshot", scanout, words[1] != NULL ? words[1] : words[0]);
}

static void print_cursors(const struct records *program G_GNUC_UNUSED, const GPtrArray *vms)
{
	view_cursors(vms);
}

/* [[SCANOUT] FILE] */
static int run_cursor(const struct session *session, char **words)
{
	unsigned int scanout = 0;

	if (words[0] == NULL) {
		return show(session, session->options->is_json ? json_print : print_cursors);
	}
	if (words[1] != NULL && !read_scanout(words[0], &scanout)) {
		return EXIT_WRONG_USE;
	}
	return save(session, "cursor", scanout, words[1] != NULL ? words[1] : words[0]);
}

static int say_mode(const char *outcome)
{
	static const struct {
		const char *outcome, *text;
	} texts[] = {
		{ "told", "the guest was told" },
		{ "refused",
		  "set, but the front-end does not tell its guest (QEMU's "
		  "vhost-user-gpu devices don't): it finds the mode when it asks again" },
		{ "unreachable", "set, but there is no way to tell the front-end: the guest finds "
				 "the mode when it asks again" },
		{ "pending", "the device does not take it yet, as it hangs or starts: the guest is "
			     "told when it has it" },
		{ "unanswered", "set, but the front-end does not say whether it told the guest" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		if (strcmp(texts[i].outcome, outcome) == 0) {
			puts(texts[i].text);
		}
	}
	return EXIT_DONE;
}

/* SCANOUT WxH */
static int run_set_mode(const struct session *session, char **words)
{
	g_autofree char *begin = with_vm(session, "set-mode");
	unsigned int scanout, width, height;
	int end = 0;

	if (!read_scanout(words[0], &scanout)) {
		return EXIT_WRONG_USE;
	}
	if (sscanf(words[1], "%5ux%5u%n", &width, &height, &end) != 2 || words[1][end] != '\0') {
		return complain("'%s' is no mode (allowed: WIDTHxHEIGHT, such as 1920x1080)",
				words[1]);
	}
	g_autofree char *question =
		g_strdup_printf("%s scanout=%u mode=%ux%u", begin, scanout, width, height);
	struct records *records = client_ask(&session->client, question, NULL);
	if (records == NULL) {
		return EXIT_NO_ANSWER;
	}
	int status = say_mode(record_text(records_find(records, "mode"), "guest"));
	records_free(records);
	return status;
}

/* LEVEL */
static int run_log(const struct session *session, char **words)
{
	static const char *const levels[] = {
		"off", "error", "warn", "info", "debug", "trace", NULL
	};
	g_autofree char *question = g_strdup_printf("log level=%s", words[0]);

	if (!g_strv_contains(levels, words[0])) {
		return complain("'%s' is no level (allowed: off, error, warn, info, debug, trace)",
				words[0]);
	}
	struct records *records = client_ask(&session->client, question, NULL);
	bool is_done = records != NULL;
	records_free(records);
	return is_done ? EXIT_DONE : EXIT_NO_ANSWER;
}

static const struct {
	const char *name, *usage;
	guint min_words, max_words;
	int (*run)(const struct session *session, char **words);
} commands[] = {
	{ "status", "", 0, 0, run_status },
	{ "top", "", 0, 0, run_top },
	{ "screenshot", "[SCANOUT] FILE.png", 1, 2, run_screenshot },
	{ "cursor", "[[SCANOUT] FILE.png]", 0, 2, run_cursor },
	{ "set-mode", "SCANOUT WIDTHxHEIGHT", 2, 2, run_set_mode },
	{ "metrics", "", 0, 0, run_metrics },
	{ "log", "LEVEL", 1, 1, run_log },
};

static int run(const struct options *options)
{
	const struct session session = {
		.client = { .path = options->socket, .limit_s = ANSWER_LIMIT_S },
		.options = options,
	};
	const char *name = options->words != NULL ? options->words[0] : NULL;

	if (name == NULL) {
		return complain("a command is required: status, top, screenshot, cursor, set-mode, "
				"metrics or log (see --help)");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
		guint n = g_strv_length(options->words) - 1;

		if (strcmp(commands[i].name, name) != 0) {
			continue;
		}
		if (n < commands[i].min_words || n > commands[i].max_words) {
			return complain("usage: vhost-device-gpuctl %s %s", name,
					commands[i].usage);
		}
		return commands[i].run(&session, options->words + 1);
	}
	return complain("'%s' is no command (allowed: status, top, screenshot, cursor, set-mode, "
			"metrics, log)",
			name);
}

static bool parse(int *argc, char ***argv, struct options *options)
{
	const GOptionEntry entries[] = {
		{ "socket", 's', 0, G_OPTION_ARG_FILENAME, &options->socket,
		  "What vhost-device-gpu was given as --control-socket "
		  "[$VHOST_DEVICE_GPU_CONTROL]",
		  "PATH" },
		{ "vm", 0, 0, G_OPTION_ARG_INT, &options->vm,
		  "Which VM, where there are several, by the number that status shows [status, "
		  "top, cursor, metrics: all]",
		  "N" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &options->is_json,
		  "As JSON (status, top, cursor)", NULL },
		{ "interval", 0, 0, G_OPTION_ARG_DOUBLE, &options->interval_s,
		  "Of top, in seconds [1]", "SECONDS" },
		{ "count", 0, 0, G_OPTION_ARG_INT, &options->n_rounds,
		  "Of top: how often [until it is interrupted]", "N" },
		{ "version", 'V', 0, G_OPTION_ARG_NONE, &options->is_version, "Print the version",
		  NULL },
		{ G_OPTION_REMAINING, 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME_ARRAY,
		  &options->words, NULL, NULL },
		G_OPTION_ENTRY_NULL,
	};
	g_autoptr(GOptionContext) context = g_option_context_new("COMMAND");
	g_autoptr(GError) error = NULL;

	g_option_context_set_summary(
		context, "Looks inside a running vhost-device-gpu, which was started with "
			 "--control-socket.\n\n"
			 "Commands:\n"
			 "  status                         how it is with each VM\n"
			 "  top                            the same, again and again\n"
			 "  screenshot [SCANOUT] FILE.png  what a guest's screen shows\n"
			 "  cursor [[SCANOUT] FILE.png]    where cursors are; the picture of one\n"
			 "  set-mode SCANOUT WxH           another size of a headless screen\n"
			 "  metrics                        figures for Prometheus\n"
			 "  log LEVEL                      off, error, warn, info, debug or trace");
	g_option_context_set_description(context, "Exit status: 0 done, 1 no answer or none that "
						  "will do, 2 wrong use.");
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, &error)) {
		complain("%s (see --help)", error->message);
		return false;
	}
	return true;
}

static bool check(struct options *options)
{
	if (options->socket == NULL) {
		options->socket = g_strdup(g_getenv("VHOST_DEVICE_GPU_CONTROL"));
	}
	if (options->socket == NULL || *options->socket == '\0') {
		complain("--socket PATH is required (or VHOST_DEVICE_GPU_CONTROL)");
		return false;
	}
	if (options->vm < 0 || options->n_rounds < 0 || !(options->interval_s >= 0.1) ||
	    options->interval_s > 3600) {
		complain("--vm, --count: whole numbers; --interval: 0.1 to 3600");
		return false;
	}
	return true;
}

/* What was shown arrived, or it is no answer. */
static int finish_output(int status)
{
	fflush(stdout);
	if (status == EXIT_DONE && ferror(stdout)) {
		complain("the output could not be written");
		return EXIT_NO_ANSWER;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { .interval_s = 1 };
	int status = EXIT_WRONG_USE;

	if (parse(&argc, &argv, &options)) {
		if (options.is_version) {
			printf("vhost-device-gpuctl %s\n", PROJECT_VERSION);
			status = EXIT_DONE;
		} else if (check(&options)) {
			status = run(&options);
		}
	}
	g_free(options.socket);
	g_strfreev(options.words);
	return finish_output(status);
}
