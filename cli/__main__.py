"""Entry point of `lbkd` and `python -m lbkd_cli`."""

from .leaving import leave_at_signals


def main() -> None:
    """Run the command line, and hear signals from the first moment on."""
    leave_at_signals()
    from .main import main as run

    run()


if __name__ == "__main__":
    main()
