"""Command-line arguments that make any training one of seconds."""

TINY = ('--config.data.load_size=36', '--config.data.crop_size=32', '--config.gen.width=4',
        '--config.gen.blocks=1', '--config.disc.width=4', '--config.train.checkpoint_minutes=99',
        '--config.log.every=1', '--config.log.samples_every=0', '--show=false')
