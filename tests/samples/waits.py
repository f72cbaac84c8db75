"""A user's module whose tasks leave a line for every run."""

from tasks import app


def leave(path, text):
    with open(path, "a") as file:
        file.write(f"{text}\n")


@app.task
def note(path, text="ran"):
    leave(path, text)
    return text


@app.task(bind=True, max_retries=5)
def again(self, path, pause_s, failures=2):
    leave(path, self.request.retries)
    if self.request.retries < failures:
        raise self.retry(countdown=pause_s, exc=ValueError("not yet"))
    return "at last"
