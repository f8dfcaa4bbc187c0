"""The principal axes of codes."""

from warnings import catch_warnings

from sklearn import decomposition

from lightning_gen.contracts import Codes
from lightning_gen.errors import UserError


def principal_components(codes: Codes) -> decomposition.PCA:
    """The two principal components of codes [N, D], fewer where N or D is 1.

    The sign of an axis is free: its largest entry is positive, so that pictures stay the same.

    Raises:
        UserError: a code is not finite.
    """
    check_finite(codes)
    count, size = codes.shape
    if min(count, size) <= 2:
        solver = "full"
    elif size < 1000:
        solver = "covariance_eigh"
    else:  # arpack is exact, and cannot start where nothing varies
        solver = "randomized" if (codes == codes[0]).all() else "arpack"
    pca = decomposition.PCA(min(2, count, size), svd_solver=solver, random_state=0)
    with catch_warnings(action="ignore"):  # codes that are all alike have no variance to share
        return pca.fit(codes.detach().double().cpu().numpy())


def check_finite(codes: Codes) -> None:
    """Raise a UserError where a code is NaN or infinite."""
    broken = int((~codes.isfinite()).any(dim=1).sum())
    if broken:
        raise UserError(
            f"{broken} of {len(codes)} codes are NaN or infinite. Lower the learning rate, or take "
            "an earlier checkpoint."
        )
