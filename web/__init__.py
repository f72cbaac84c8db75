"""The front door: HTTP, sessions, the SDK. Importing it makes ``platform`` complete (see ``tasks``)."""

import tasks as tasks
