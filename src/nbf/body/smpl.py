def read_smpl(path):
    raise NotImplementedError
