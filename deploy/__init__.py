"""Running it: one machine under supervision, and the files for larger places."""

import tasks as tasks
