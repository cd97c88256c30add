"""Whether what is written into plots can be read."""

from lbkd.reporting import plots
from lbkd.reporting.drawing import drawing

LONG = [f"distill.combined.temperature={n}.0.impurity.training.learning_rate=3e-05" for n in range(12)]


def test_long_names_stay_in_the_figure_and_leave_the_plot_its_height() -> None:
    heights = {}
    for names in (["baseline", "mix-mrc"], LONG):
        with drawing():
            figure, axes = plots._figure(4.6, 2.9)
            for n, name in enumerate(names):
                axes.plot([n], [n], label=name, **plots._style(n))
            plots._legend(figure, axes)
            figure.draw_without_rendering()
            [legend] = figure.legends
            whole, box = figure.bbox, legend.get_window_extent()
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        assert [text.get_text().replace("\n", "") for text in legend.get_texts()] == names
        heights[len(names)] = axes.get_window_extent().height
    assert heights[len(LONG)] > 0.9 * heights[2]


def test_sixty_four_runs_look_different() -> None:
    assert len({tuple(plots._style(n).values()) for n in range(64)}) == 64
