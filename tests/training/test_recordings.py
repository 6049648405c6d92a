import torch

from training.recordings import freq_mixstyle

# Four recordings of 50 frames and 3 filters: each has a level and a spread of its own
LEVELS, SPREADS = torch.tensor([0.0, 10, 20, 30]).view(4, 1, 1, 1), torch.tensor([1.0, 2, 3, 4]).view(4, 1, 1, 1)


def recordings() -> torch.Tensor:
    rows = torch.randn(4, 1, 50, 3, generator=torch.Generator().manual_seed(0))
    return LEVELS + SPREADS * (rows - rows.mean(dim=2, keepdim=True)) / rows.std(dim=2, keepdim=True)


def test_another_timbre_keeps_the_course_and_lies_between_two_recordings() -> None:
    maps = recordings()
    for seed in range(10):
        torch.manual_seed(seed)
        changed = freq_mixstyle(maps, share=1.0)
        level, spread = changed.mean(dim=2, keepdim=True), changed.std(dim=2, keepdim=True)
        assert torch.allclose((changed - level) / spread, (maps - LEVELS) / SPREADS, atol=1e-3)
        assert level.min() > -1e-3
        assert level.max() < 30 + 1e-3
        # level and spread come from the same other recording, in the same share
        assert torch.allclose(level, 10 * (spread - 1), atol=0.1)


def test_only_the_share_asked_for_is_changed() -> None:
    maps = recordings().repeat(100, 1, 1, 1)
    torch.manual_seed(0)
    same = torch.isclose(freq_mixstyle(maps, share=0.5), maps, atol=1e-2).flatten(1).all(dim=1).float().mean()
    assert 0.5 < same < 0.85  # some of the changed ones met themselves, or a share near nothing
    assert torch.allclose(freq_mixstyle(maps, share=0.0), maps, atol=1e-3)
